//! Events that were read from the file, remembered for as long as that is not written.
//!
//! They are asked for some two thousand times a day, and on most Macs there are none or a few.

use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::event::Event;
use crate::retention::Texts;
use crate::sqlite::store::{self, StoreError};

/// Bytes of them, about.
const MOST: usize = 64 << 10;

/// A file whose times are older shows its next write by them: HFS+ knows no less than a second.
const SETTLED: Duration = Duration::from_secs(2);

/// What the status of a file says of its content: device, inode, size, and when it was last written.
type Content = (u64, u64, u64, (i64, i64));

/// The status of the database and of its write-ahead log, in which SQLite keeps the newest writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    content: [Option<Content>; 2],
    /// When the status changed last: whoever sets back the time of the last write changes it. And so
    /// does SQLite, which gives the log its owner whenever root opens it.
    changed: [Option<(i64, i64)>; 2],
}

impl Stamp {
    fn of(file: &Path) -> Self {
        let mut log = OsString::from(file);
        log.push("-wal");
        let files = [file, Path::new(&log)].map(|path| std::fs::symlink_metadata(path).ok());
        let content = |m: &Metadata| (m.dev(), m.ino(), m.len(), (m.mtime(), m.mtime_nsec()));
        let changed = |m: &Metadata| (m.ctime(), m.ctime_nsec());
        Self {
            content: files.each_ref().map(|m| m.as_ref().map(content)),
            changed: files.each_ref().map(|m| m.as_ref().map(changed)),
        }
    }

    /// True when a write after `now` would show.
    fn is_settled(&self, now: SystemTime) -> bool {
        let before = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let before = before.saturating_sub(SETTLED).as_secs();
        let before = i64::try_from(before).unwrap_or_default();
        let mut there = self.content.iter().flatten();
        there.all(|(_, _, _, (written, _))| *written < before)
    }
}

/// What was read last.
#[derive(Debug)]
pub(super) struct Remembered {
    stamp: Stamp,
    events: Vec<Event>,
}

/// Passes each event of a file to `sink`, oldest first: what is `remembered`, where the file is as it was; else of those that
/// are not `ours` none, where it is known which are.
///
/// # Errors
/// When the file cannot be read; the sink's own error as well.
pub(super) fn each(
    file: &Path,
    ours: Option<&Texts>,
    remembered: &mut Option<Remembered>,
    sink: &mut dyn FnMut(&Event) -> Result<(), String>,
) -> Result<(), StoreError> {
    each_at(SystemTime::now(), file, ours, remembered, sink)
}

fn each_at(
    now: SystemTime,
    file: &Path,
    ours: Option<&Texts>,
    remembered: &mut Option<Remembered>,
    sink: &mut dyn FnMut(&Event) -> Result<(), String>,
) -> Result<(), StoreError> {
    let stamp = Stamp::of(file);
    if let Some(known) = remembered.as_ref().filter(|known| known.stamp == stamp) {
        let told = known.events.iter().try_for_each(sink);
        return told.map_err(StoreError::Failed);
    }
    *remembered = None;
    let mut bytes = 0_usize;
    let mut events = Vec::new();
    store::read(file, ours, &mut |event| {
        sink(&event)?;
        bytes = bytes.saturating_add(event.weight());
        if bytes <= MOST {
            events.push(event);
        } else {
            events = Vec::new();
        }
        Ok(())
    })?;
    // What was written while it was read may be in there or not.
    let after = Stamp::of(file);
    if bytes <= MOST && stamp.is_settled(now) && after.content == stamp.content {
        let stamp = after;
        *remembered = Some(Remembered { stamp, events });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::event::{Action, Seen};
    use crate::sqlite::store::{Changes, Store};

    fn event(id: i64, path: String) -> Event {
        Event {
            id,
            seen: Some(Seen::Scan),
            ..Event::new(1, Action::Appeared, path, Arc::default())
        }
    }

    fn count(now: SystemTime, file: &Path, remembered: &mut Option<Remembered>) -> usize {
        let mut count = 0;
        each_at(now, file, None, remembered, &mut |_| {
            count += 1;
            Ok(())
        })
        .unwrap();
        count
    }

    #[test]
    fn what_is_remembered_holds_until_the_file_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("journal.db");
        std::fs::File::create(&file).unwrap();
        let mut store = Store::open(&file).unwrap();
        let later = SystemTime::now() + Duration::from_secs(3600);
        let mut remembered = None;
        for written in 1..=3 {
            store
                .write(&[event(written, "/a".to_owned())], &Changes::new(), false)
                .unwrap();
            let written = usize::try_from(written).unwrap();
            // A write in the same moment might not show in the times.
            assert_eq!(count(SystemTime::now(), &file, &mut remembered), written);
            assert!(remembered.is_none());
            assert_eq!(count(later, &file, &mut remembered), written);
            // From here on it is not the file that is read.
            remembered.as_mut().unwrap().events.clear();
            assert_eq!(count(later, &file, &mut remembered), 0);
            // Whoever sets the time of the last write, set it back perhaps.
            let log = folder.path().join("journal.db-wal");
            let log = std::fs::File::options().write(true).open(log).unwrap();
            let time = log.metadata().unwrap().modified().unwrap();
            // Later by more than a tick of the system's clock.
            std::thread::sleep(Duration::from_millis(20));
            log.set_modified(time).unwrap();
            assert_eq!(count(later, &file, &mut remembered), written);
        }
    }

    #[test]
    fn a_file_with_much_in_it_is_read_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("journal.db");
        std::fs::File::create(&file).unwrap();
        let mut store = Store::open(&file).unwrap();
        let long = event(1, "x".repeat(MOST));
        store
            .write(&[long, event(2, "/a".to_owned())], &Changes::new(), false)
            .unwrap();
        let later = SystemTime::now() + Duration::from_secs(3600);
        let mut remembered = None;
        assert_eq!(count(later, &file, &mut remembered), 2);
        assert!(remembered.is_none());
    }
}
