//! A thread that is there while it has something to do, and not before or after.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Does one thing after the other, in the order in which they were given.
pub struct Worker<T> {
    name: &'static str,
    most: usize,
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    waiting: Mutex<Waiting<T>>,
    work: Box<dyn Fn(T) + Send + Sync>,
}

struct Waiting<T> {
    items: VecDeque<T>,
    is_at_work: bool,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that the thread is gone, however it went.
struct AtWork<T>(Arc<Shared<T>>);

impl<T> Drop for AtWork<T> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().is_at_work = false;
        }
    }
}

impl<T: Send + 'static> Worker<T> {
    /// A worker of which at most `most` things wait for their turn.
    pub fn new(name: &'static str, most: usize, work: impl Fn(T) + Send + Sync + 'static) -> Self {
        let waiting = Mutex::new(Waiting {
            items: VecDeque::new(),
            is_at_work: false,
        });
        let work = Box::new(work);
        let shared = Arc::new(Shared { waiting, work });
        Self { name, most, shared }
    }

    /// Gives it something to do, and does not wait; false when too much waits, or no thread can be
    /// started: then it is not done.
    pub fn give(&self, item: T) -> bool {
        let mut waiting = self.shared.lock();
        if waiting.items.len() >= self.most {
            return false;
        }
        waiting.items.push_back(item);
        if waiting.is_at_work {
            return true;
        }
        let at_work = AtWork(Arc::clone(&self.shared));
        let thread = thread::Builder::new().name(self.name.to_owned());
        waiting.is_at_work = thread.spawn(move || work(&at_work)).is_ok();
        if !waiting.is_at_work {
            waiting.items.clear();
        }
        waiting.is_at_work
    }
}

fn work<T>(at_work: &AtWork<T>) {
    let shared = &at_work.0;
    loop {
        let mut waiting = shared.lock();
        let Some(item) = waiting.items.pop_front() else {
            waiting.is_at_work = false;
            return;
        };
        drop(waiting);
        (shared.work)(item);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{channel, sync_channel};
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn in_order_and_by_another_thread_after_a_pause() {
        let (done, results) = channel();
        let worker = Worker::new("test", 100, move |number: u32| {
            done.send((number, thread::current().id())).unwrap();
        });
        let (mut ids, mut numbers) = (Vec::new(), Vec::new());
        for number in 0..20 {
            assert!(worker.give(number));
            let (number, id) = results.recv_timeout(LONG).unwrap();
            numbers.push(number);
            ids.push(id);
            while worker.shared.lock().is_at_work {
                thread::yield_now();
            }
        }
        assert_eq!(numbers, (0..20).collect::<Vec<_>>());
        ids.dedup();
        assert_eq!(ids.len(), 20, "no thread is kept");
    }

    #[test]
    fn what_holds_it_up_holds_up_nobody() {
        let (go, wait) = sync_channel::<()>(0);
        let wait = Mutex::new(wait);
        let worker = Worker::new("test", 3, move |_: u32| {
            let _ = wait.lock().unwrap().recv();
        });
        let taken = (0..10).filter(|number| worker.give(*number)).count();
        assert!((3..=4).contains(&taken), "{taken}");
        drop(go);
        while worker.shared.lock().is_at_work {
            thread::yield_now();
        }
        assert!(worker.give(1));
    }

    #[test]
    fn a_failure_inside_ends_one_turn() {
        let (done, results) = channel();
        let worker = Worker::new("test", 3, move |number: u32| {
            assert_ne!(number, 0, "meant to fail");
            done.send(number).unwrap();
        });
        worker.give(0);
        while worker.shared.lock().is_at_work {
            thread::yield_now();
        }
        assert!(worker.give(1));
        assert_eq!(results.recv_timeout(LONG), Ok(1));
    }
}
