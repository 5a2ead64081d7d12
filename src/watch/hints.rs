//! Hints that something was written, from the system: inotify on Linux, kqueue on a Mac.
//!
//! A hint says "look", never what happened. Each watch is on a directory or file that was opened here,
//! component by component, so that none can lead out of the root, wait for a FIFO, or open more
//! than was asked for. (The crate `notify` opens by path, and its kqueue watch of one directory
//! opens whatever is made in it, recursively: a FIFO in the plug-in folder would hold it for ever,
//! and a tree of files would use up the descriptors.)

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::places::Place;
use crate::directory::Dir;

/// What waiting came to.
#[derive(Debug, Default)]
pub struct Woken {
    /// Something was written.
    pub hinted: bool,
    /// Something came or went in a directory that only leads to what a bundle reaches outside.
    pub doubtful: bool,
    /// The caller's own descriptor can be read: it is to stop.
    pub stopped: bool,
    /// Paths of candidates that came, as far as the system names them.
    pub names: Vec<Vec<u8>>,
    /// Device and inode of directories that went: they are watched no more.
    pub ended: Vec<(u64, u64)>,
}

/// Waits, whatever is written meanwhile; true when the caller is to stop before that time is up.
pub fn stops_within(time: Duration, stop: Option<BorrowedFd<'_>>) -> bool {
    let Some(stop) = stop else {
        std::thread::sleep(time);
        return false;
    };
    let timeout = Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    };
    let mut fds = [PollFd::from_borrowed_fd(stop, PollFlags::IN)];
    // Where it is interrupted the caller looks at its clock.
    poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0)
}

/// Names that are taken from one batch of hints.
pub const MOST_NAMES: usize = 1_000;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub use linux::Hints;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub use mac::Hints;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::collections::HashMap;
    use std::fs::File;
    use std::mem::MaybeUninit;
    use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
    use rustix::io::{Errno, retry_on_intr};

    use super::{BorrowedFd, Dir, Duration, MOST_NAMES, Place, Woken, io};
    use crate::name::{self, Suffix};

    /// Watches of inotify. Each costs the kernel a kilobyte, and a user has 8,192 by default.
    const BUDGET: usize = 2_048;

    /// Watches through one descriptor.
    #[derive(Debug)]
    pub struct Hints {
        inotify: OwnedFd,
        /// The list of what is mounted. A volume over a directory is no event of the one that it covers.
        mounts: Option<File>,
        places: HashMap<i32, Place>,
    }

    impl Hints {
        /// How many places can be watched.
        pub const BUDGET: usize = BUDGET;
        /// True when a directory's watch tells of writes into the files in it.
        pub const TELLS_WRITES: bool = true;

        /// Nothing is watched yet.
        ///
        /// # Errors
        /// When the system refuses.
        pub fn new() -> io::Result<Self> {
            let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
            Ok(Self {
                inotify,
                mounts: File::open("/proc/self/mountinfo").ok(),
                places: HashMap::new(),
            })
        }

        /// Watches a place, of which `dir` is the open directory, or that of a file.
        ///
        /// # Errors
        /// When the system refuses: there may be no watch left.
        pub fn add(&mut self, place: &Place, dir: &Dir) -> io::Result<()> {
            let itself = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
            let entries = WatchFlags::CREATE
                | WatchFlags::DELETE
                | WatchFlags::MOVED_FROM
                | WatchFlags::MOVED_TO;
            let writes = WatchFlags::MODIFY | WatchFlags::ATTRIB;
            let only_leads = place.is_ancestor || place.is_way;
            let flags = match (place.file.is_some(), only_leads) {
                (true, _) => itself | writes,
                (false, true) => itself | entries | WatchFlags::ONLYDIR,
                (false, false) => itself | entries | writes | WatchFlags::ONLYDIR,
            };
            // The descriptor leads to the very directory that was opened; a file is not followed
            // if a link has taken its place.
            let mut path = format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd()).into_bytes();
            let mut flags = flags;
            if let Some(name) = &place.file {
                path.push(b'/');
                path.extend_from_slice(name);
                flags |= WatchFlags::DONT_FOLLOW;
            }
            let number = retry_on_intr(|| inotify::add_watch(&self.inotify, &path, flags))?;
            self.places.insert(number, place.clone());
            Ok(())
        }

        /// Watches a place no more.
        pub fn remove(&mut self, id: (u64, u64)) {
            let numbers = self.places.iter().filter(|(_, p)| p.id == id);
            let numbers: Vec<i32> = numbers.map(|(number, _)| *number).collect();
            for number in numbers {
                // One whose directory has gone is removed already.
                let _ = inotify::remove_watch(&self.inotify, number);
                self.places.remove(&number);
            }
        }

        /// Waits for a hint, for the stop, or until the time is up.
        pub fn wait(&mut self, timeout: Duration, stop: Option<BorrowedFd<'_>>) -> Woken {
            let timeout = Timespec {
                tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: timeout.subsec_nanos().into(),
            };
            let mut fds = vec![PollFd::from_borrowed_fd(
                self.inotify.as_fd(),
                PollFlags::IN,
            )];
            fds.extend(stop.map(|stop| PollFd::from_borrowed_fd(stop, PollFlags::IN)));
            let changes = |mounts| PollFd::from_borrowed_fd(mounts, PollFlags::PRI);
            fds.extend(self.mounts.as_ref().map(|mounts| changes(mounts.as_fd())));
            let ready = |fd: Option<&PollFd<'_>>| fd.is_some_and(|f| !f.revents().is_empty());
            if poll(&mut fds, Some(&timeout)).is_err() {
                // Interrupted: the caller looks at its clock.
                return Woken::default();
            }
            let mounts = self.mounts.as_ref().and_then(|_| fds.pop());
            let mounted = ready(mounts.as_ref());
            let stopped = ready(fds.get(1));
            let hinted = ready(fds.first());
            drop(fds);
            let mut woken = Woken {
                hinted: mounted,
                stopped,
                ..Woken::default()
            };
            if hinted {
                self.read(&mut woken);
            }
            woken
        }

        fn read(&mut self, woken: &mut Woken) {
            let mut buffer = [MaybeUninit::uninit(); 8192];
            let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
            loop {
                let event = match reader.next() {
                    Ok(event) => event,
                    Err(Errno::INTR) => continue,
                    Err(_) => return,
                };
                let events = event.events();
                let Some(place) = self.places.get(&event.wd()) else {
                    woken.hinted = true;
                    continue;
                };
                let itself = ReadFlags::IGNORED | ReadFlags::MOVE_SELF | ReadFlags::DELETE_SELF;
                if place.is_way && !events.intersects(itself) {
                    woken.doubtful = true;
                    continue;
                }
                woken.hinted = true;
                if events.intersects(ReadFlags::IGNORED | ReadFlags::MOVE_SELF) {
                    woken.ended.push(place.id);
                    continue;
                }
                let came = events.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
                let Some(name) = event.file_name().filter(|_| came) else {
                    continue;
                };
                let is_candidate = name::suffix(name.to_bytes()) != Suffix::Other;
                if place.holds_candidates && is_candidate && woken.names.len() < MOST_NAMES {
                    let path = [&place.path, b"/".as_slice(), name.to_bytes()].concat();
                    woken.names.push(path);
                }
            }
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod mac {
    use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

    use kqueue::{EventData, EventFilter, FilterFlag, Ident, Vnode, Watcher};

    use super::{BorrowedFd, Dir, Duration, MOST_NAMES, Place, Woken, io};

    /// The number by which the queue tells of what is mounted: no descriptor's, and of another filter.
    const MOUNTS: RawFd = 0;

    /// Descriptors that watch: launchd gives a job 256, and a scan needs its own.
    const BUDGET: usize = 96;

    /// A watched place, open for as long as it is watched.
    #[derive(Debug)]
    struct Held {
        id: (u64, u64),
        is_way: bool,
        number: RawFd,
        _dir: Option<Dir>,
        _file: Option<OwnedFd>,
    }

    /// Watches through one queue.
    #[derive(Debug)]
    pub struct Hints {
        queue: Watcher,
        held: Vec<Held>,
        stop: Option<RawFd>,
    }

    /// A queue that tells when a volume is mounted or goes, which is no event of the directory that it
    /// covers. `EVFILT_FS` takes `VQ_MOUNT` and `VQ_UNMOUNT` as flags (xnu, `bsd/sys/mount.h` and `filt_fsevent`
    /// of `bsd/vfs/vfs_subr.c`: read, not seen), and these two have their values.
    fn of_mounts() -> io::Result<Watcher> {
        let mut queue = Watcher::new()?;
        let flags = FilterFlag::NOTE_ATTRIB | FilterFlag::NOTE_LINK;
        queue.add_fd(MOUNTS, EventFilter::EVFILT_FS, flags)?;
        queue.watch()?;
        Ok(queue)
    }

    impl Hints {
        /// How many places can be watched.
        pub const BUDGET: usize = BUDGET;
        /// False: a write into a file is told to who has that file open alone.
        pub const TELLS_WRITES: bool = false;

        /// Nothing is watched yet.
        ///
        /// # Errors
        /// When the system refuses.
        pub fn new() -> io::Result<Self> {
            Ok(Self {
                queue: of_mounts().or_else(|_| Watcher::new())?,
                held: Vec::new(),
                stop: None,
            })
        }

        /// Watches a place, of which `dir` is the open directory, or that of a file.
        ///
        /// # Errors
        /// When the system refuses: there may be no descriptor left.
        pub fn add(&mut self, place: &Place, dir: &Dir) -> io::Result<()> {
            let mut flags =
                FilterFlag::NOTE_DELETE | FilterFlag::NOTE_RENAME | FilterFlag::NOTE_REVOKE;
            flags |= FilterFlag::NOTE_WRITE;
            if !place.is_ancestor && !place.is_way {
                flags |= FilterFlag::NOTE_EXTEND | FilterFlag::NOTE_ATTRIB;
            }
            let file = place.file.as_ref().map(|name| dir.open_file(name));
            let file = file
                .transpose()
                .map_err(|error| io::Error::from(error.errno))?;
            let file = file.map(|file| file.fd);
            let number = match &file {
                Some(file) => file.as_raw_fd(),
                None => std::os::fd::AsFd::as_fd(dir).as_raw_fd(),
            };
            let filter = EventFilter::EVFILT_VNODE;
            self.queue.add_fd(number, filter, flags)?;
            self.held.push(Held {
                id: place.id,
                is_way: place.is_way,
                number,
                _dir: file.is_none().then(|| dir.clone()),
                _file: file,
            });
            if let Err(error) = self.queue.watch() {
                self.remove(place.id);
                return Err(error);
            }
            Ok(())
        }

        /// Watches a place no more.
        pub fn remove(&mut self, id: (u64, u64)) {
            for held in self.held.extract_if(.., |held| held.id == id) {
                // It is closed next, which removes it as well.
                let _ = self.queue.remove_fd(held.number, EventFilter::EVFILT_VNODE);
            }
        }

        /// Waits for a hint, for the stop, or until the time is up.
        pub fn wait(&mut self, timeout: Duration, stop: Option<BorrowedFd<'_>>) -> Woken {
            if let (None, Some(stop)) = (self.stop, stop) {
                let (stop, filter) = (stop.as_raw_fd(), EventFilter::EVFILT_READ);
                let added = self.queue.add_fd(stop, filter, FilterFlag::empty());
                if added.and_then(|()| self.queue.watch()).is_ok() {
                    self.stop = Some(stop);
                }
            }
            let mut woken = Woken::default();
            if self.held.is_empty() && self.stop.is_none() {
                std::thread::sleep(timeout);
                return woken;
            }
            let mut wait = Some(timeout);
            for _ in 0..MOST_NAMES {
                let Some(event) = self.queue.poll(wait) else {
                    break;
                };
                wait = None;
                match (event.ident, event.data) {
                    (Ident::Fd(number), _) if Some(number) == self.stop => woken.stopped = true,
                    // The crate knows no such filter, and gives it as this error.
                    (Ident::Fd(MOUNTS), EventData::Error(error))
                        if error.kind() == io::ErrorKind::InvalidData =>
                    {
                        woken.hinted = true;
                    }
                    (_, EventData::Error(_)) => break,
                    (Ident::Fd(number), data) => {
                        let held = self.held.iter().find(|h| h.number == number);
                        if matches!(
                            data,
                            EventData::Vnode(Vnode::Delete | Vnode::Rename | Vnode::Revoke)
                        ) {
                            woken.hinted = true;
                            woken.ended.extend(held.map(|held| held.id));
                        } else if held.is_some_and(|held| held.is_way) {
                            woken.doubtful = true;
                        } else {
                            woken.hinted = true;
                        }
                    }
                    _ => {}
                }
            }
            woken
        }
    }
}
