//! A thread that makes answers, one after the other: an allocator keeps for each thread what it has once used, and those
//! who ask may be many.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long it waits for more to do before it ends.
const LINGER: Duration = Duration::from_secs(5);

type Work = Box<dyn FnOnce() + Send>;

/// What leads to the thread, where there is one.
#[derive(Clone, Default)]
pub(super) struct Maker(Arc<Mutex<Option<Sender<Work>>>>);

impl Maker {
    fn lock(&self) -> MutexGuard<'_, Option<Sender<Work>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has it do something, and waits for that.
    ///
    /// # Errors
    /// When no thread can be started, and when that failed inside.
    pub(super) fn make<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let (done, result) = sync_channel(1);
        // Whoever asked may be gone.
        let work: Work = Box::new(move || _ = done.send(work()));
        let mut sender = self.lock();
        let left = match sender.as_ref() {
            // One that failed inside takes nothing more.
            Some(sender) => sender.send(work).err().map(|back| back.0),
            None => Some(work),
        };
        if let Some(work) = left {
            let (to, inbox) = channel();
            let _ = to.send(work);
            let maker = self.clone();
            let thread = thread::Builder::new().name("rows".to_owned());
            thread.spawn(move || maker.work(&inbox))?;
            *sender = Some(to);
        }
        drop(sender);
        let failed = |_| io::Error::other("a table failed inside");
        result.recv().map_err(failed)
    }

    fn work(&self, inbox: &Receiver<Work>) {
        loop {
            while let Ok(work) = inbox.recv_timeout(LINGER) {
                work();
            }
            // What came while the time ended is done first.
            let mut sender = self.lock();
            let Ok(work) = inbox.try_recv() else {
                *sender = None;
                return;
            };
            drop(sender);
            work();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_makes_all_and_another_goes_on_where_it_failed() {
        let maker = Maker::default();
        let id = || thread::current().id();
        let first = maker.make(id).unwrap();
        assert_ne!(first, id());
        let others: Vec<_> = (0..8)
            .map(|_| {
                let maker = maker.clone();
                thread::spawn(move || maker.make(id).unwrap())
            })
            .collect();
        for other in others {
            assert_eq!(other.join().unwrap(), first);
        }
        let failed = maker.make(|| -> u32 { panic!("meant to fail") });
        assert!(failed.is_err());
        let next = (0..100).find_map(|_| maker.make(id).ok());
        assert_ne!(next, Some(first));
    }
}
