//! The thread that writes the journal: a disk that is slow holds up no look.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use crate::event::Event;
use crate::journal::{Batch, Journal};

/// Batches that wait for the disk, before the watch waits as well.
const WAITING: usize = 256;
/// Events that are written at once, about.
const AT_ONCE: usize = 1_000;

/// Takes in each event once it can be shown; false when no more are wanted.
pub type Tell = Box<dyn FnMut(&Event) -> bool + Send>;

/// The thread, for those who have something to write.
#[derive(Debug)]
pub struct Writer {
    inbox: Option<SyncSender<Batch>>,
    lacks_known: Arc<AtomicBool>,
    /// True while all that is known is on its way to the disk.
    is_told: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Begins to write a journal.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(journal: Journal, tell: Tell) -> io::Result<Self> {
        let (inbox, batches) = sync_channel(WAITING);
        let lacks_known = Arc::new(AtomicBool::new(journal.lacks_known()));
        let is_told = Arc::new(AtomicBool::new(false));
        let (lacks, told) = (Arc::clone(&lacks_known), Arc::clone(&is_told));
        let thread = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || write(journal, &batches, &lacks, &told, tell))?;
        Ok(Self {
            inbox: Some(inbox),
            lacks_known,
            is_told,
            thread: Some(thread),
        })
    }

    /// True when all that is known has to be written again, and is not on its way: on a slow disk it would wait
    /// there many times.
    pub fn lacks_known(&self) -> bool {
        self.lacks_known.load(Ordering::SeqCst) && !self.is_told.load(Ordering::SeqCst)
    }

    /// Has a batch written; an empty one lets the journal look after its file.
    ///
    /// # Errors
    /// When the thread failed inside: it ends with its inbox alone.
    pub fn write(&self, batch: Batch) -> io::Result<()> {
        if batch.is_all {
            self.is_told.store(true, Ordering::SeqCst);
        }
        let sent = self.inbox.as_ref().map(|inbox| inbox.send(batch));
        match sent {
            Some(Ok(())) => Ok(()),
            _ => Err(io::Error::other(
                "the thread that writes the journal failed inside",
            )),
        }
    }
}

impl Drop for Writer {
    /// What has been handed over is written.
    fn drop(&mut self) {
        self.inbox = None;
        // One that failed inside has said so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn write(
    mut journal: Journal,
    batches: &Receiver<Batch>,
    lacks: &AtomicBool,
    told: &AtomicBool,
    mut tell: Tell,
) {
    let mut goes_on = true;
    while let Ok(mut batch) = batches.recv() {
        while batch.events.len() < AT_ONCE
            && let Ok(later) = batches.try_recv()
        {
            batch.extend(later);
        }
        let is_all = batch.is_all;
        if batch.is_empty() {
            journal.tick();
        } else {
            for event in &journal.write(batch) {
                goes_on = goes_on && tell(event);
            }
        }
        lacks.store(journal.lacks_known(), Ordering::SeqCst);
        if is_all {
            told.store(false, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Action, Event};
    use std::sync::mpsc::channel;

    #[test]
    fn all_that_is_known_waits_for_a_slow_disk_but_once() {
        let event = Event::new(1, Action::Appeared, "/a".to_owned(), Arc::default());
        let (begun, begins) = channel();
        let (go, goes_on) = channel::<()>();
        let tell: Tell = Box::new(move |_| {
            begun.send(()).unwrap();
            goes_on.recv().is_ok()
        });
        let writer = Writer::start(Journal::in_memory(), tell).unwrap();
        writer.lacks_known.store(true, Ordering::SeqCst);
        writer
            .write(Batch {
                events: vec![event],
                ..Batch::default()
            })
            .unwrap();
        begins.recv().unwrap();
        let before = writer.lacks_known();
        writer
            .write(Batch {
                is_all: true,
                ..Batch::default()
            })
            .unwrap();
        let after = writer.lacks_known();
        go.send(()).unwrap();
        assert_eq!((before, after), (true, false));
    }
}
