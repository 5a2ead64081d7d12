//! Looks at a disk at moments that a test chooses.

use std::time::{Duration, Instant};

use dsplug::event::{Event, Seen};
use dsplug::limits::Limits;
use dsplug::root::Root;
use dsplug::scan::Scanner;
use dsplug::watch::now::Now;
use dsplug::watch::tracker::Tracker;
use dsplug_fixtures::Disk;

pub struct Looks {
    root: Root,
    scanner: Scanner,
    pub tracker: Tracker,
    begun: Instant,
}

impl Looks {
    /// The first, of which nothing is told.
    pub fn begin(disk: &Disk) -> Self {
        let root = Root::open(disk.path()).unwrap();
        let mut scanner = Scanner::new(root.clone(), Limits::STANDARD).remembering();
        let begun = Instant::now();
        let now = Now {
            steady: begun,
            wall_ms: 0,
        };
        let tracker = Tracker::base_line(&scanner.scan().bundles, now);
        Self {
            root,
            scanner,
            tracker,
            begun,
        }
    }

    /// One more, and the events that it had told.
    pub fn events_at(&mut self, millis: u64) -> Vec<Event> {
        let now = Now {
            steady: self.begun + Duration::from_millis(millis),
            wall_ms: 0,
        };
        let bundles = self.scanner.scan().bundles.clone();
        let is_gone = |path: &[u8]| self.root.has_gone(path);
        self.tracker.see(&bundles, Seen::Watched, now, &is_gone);
        self.tracker.settle(now).0
    }
}
