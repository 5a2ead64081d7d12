//! What ends the process: a signal, the end of the process that started it, or a word of one of its
//! threads. Whoever waits here is woken by these and by nothing else.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rustix::process::{Pid, getppid};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

use super::end::{End, Error};

/// How often the parent is looked at where the system does not tell of its end.
const PARENT: Duration = Duration::from_millis(500);
/// How often it is looked at where the system does.
const TOLD: Duration = Duration::from_secs(60);

/// Where a thread says that the end has come.
#[derive(Clone)]
pub(super) struct Ends {
    ends: Sender<End>,
    bell: Arc<UnixStream>,
}

impl Ends {
    /// Says it. Nobody listens once the end has begun.
    pub(super) fn send(&self, end: End) {
        let _ = self.ends.send(end);
        // Full: it has rung already.
        let _ = (&*self.bell).write(&[0]);
    }
}

/// What is waited for.
pub(super) struct Life {
    signals: [(i32, UnixStream); 2],
    bell: UnixStream,
    ends: Receiver<End>,
    /// Started by launchd itself, there is no parent to lose.
    parent: Option<Pid>,
    events: events::Events,
}

impl Life {
    /// Begins: from now on signals are taken note of.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub(super) fn begin() -> io::Result<(Self, Ends)> {
        let parent = getppid().filter(|parent| !parent.is_init());
        let signal = |number: i32| {
            let (heard, hook) = UnixStream::pair()?;
            heard.set_nonblocking(true)?;
            pipe::register(number, hook)?;
            Ok::<_, io::Error>((number, heard))
        };
        let signals = [signal(SIGTERM)?, signal(SIGINT)?];
        let (bell, ringing) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ringing.set_nonblocking(true)?;
        let (sender, ends) = channel();
        let streams = [&signals[0].1, &signals[1].1, &bell];
        let events = events::Events::new(streams, parent)?;
        let life = Self {
            signals,
            bell,
            ends,
            parent,
            events,
        };
        let ends = Ends {
            ends: sender,
            bell: Arc::new(ringing),
        };
        Ok((life, ends))
    }

    /// Waits for the end.
    pub(super) fn wait(&self) -> End {
        loop {
            for (number, heard) in &self.signals {
                if (&mut &*heard).read(&mut [0]).is_ok_and(|count| count > 0) {
                    return End::Signal(*number);
                }
            }
            if let Ok(end) = self.ends.try_recv() {
                return end;
            }
            if self.parent.is_some() && getppid() != self.parent {
                return End::Failed(Error::Orphaned);
            }
            // What rang has been heard.
            while (&mut &self.bell)
                .read(&mut [0; 16])
                .is_ok_and(|count| count > 0)
            {}
            if let Ok(end) = self.ends.try_recv() {
                return end;
            }
            let [(_, term), (_, int)] = &self.signals;
            if self.events.wait([term, int, &self.bell]) {
                return End::Failed(Error::Orphaned);
            }
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod events {
    use std::os::fd::{AsFd as _, OwnedFd};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{PidfdFlags, pidfd_open};

    use super::{Duration, PARENT, Pid, TOLD, UnixStream, io};

    /// The events of the system.
    pub(super) struct Events {
        /// It can be read once the parent has ended.
        parent: Option<OwnedFd>,
        timeout: Duration,
    }

    impl Events {
        pub(super) fn new(_: [&UnixStream; 3], parent: Option<Pid>) -> io::Result<Self> {
            // Linux has it since 5.3.
            let opened = parent.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
            let is_told = parent.is_none() || opened.is_some();
            Ok(Self {
                parent: opened,
                timeout: if is_told { TOLD } else { PARENT },
            })
        }

        /// Waits for any of them; true when it was the parent's end and nothing else will tell it.
        pub(super) fn wait(&self, streams: [&UnixStream; 3]) -> bool {
            let timeout = Timespec {
                tv_sec: i64::try_from(self.timeout.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: self.timeout.subsec_nanos().into(),
            };
            let fds = streams.map(|stream| stream.as_fd());
            let fds = fds
                .into_iter()
                .chain(self.parent.as_ref().map(OwnedFd::as_fd));
            let mut fds: Vec<_> = fds
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
                .collect();
            // Interrupted by the signal itself, whoever waits looks at all of them.
            let _ = poll(&mut fds, Some(&timeout));
            // The descriptor can be read from then on.
            false
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod events {
    use std::os::fd::AsRawFd as _;

    use kqueue::{EventFilter, FilterFlag, Ident, Watcher};

    use super::{Duration, PARENT, Pid, TOLD, UnixStream, io};

    /// The events of the system.
    pub(super) struct Events {
        queue: Watcher,
        timeout: Duration,
    }

    impl Events {
        pub(super) fn new(streams: [&UnixStream; 3], parent: Option<Pid>) -> io::Result<Self> {
            let mut queue = Watcher::new()?;
            // What was not read yet is told again.
            queue.disable_clears();
            for stream in streams {
                let none = FilterFlag::empty();
                queue.add_fd(stream.as_raw_fd(), EventFilter::EVFILT_READ, none)?;
            }
            let mut is_told = true;
            if let Some(pid) = parent.map(|pid| pid.as_raw_nonzero().get()) {
                let (filter, exit) = (EventFilter::EVFILT_PROC, FilterFlag::NOTE_EXIT);
                is_told = queue.add_pid(pid, filter, exit).is_ok() && queue.watch().is_ok();
                if !is_told {
                    // It has ended by now, or may not be watched.
                    let _ = queue.remove_pid(pid, filter);
                }
            }
            queue.watch()?;
            let timeout = if is_told { TOLD } else { PARENT };
            Ok(Self { queue, timeout })
        }

        /// Waits for any of them; true when it was the parent's end and nothing else will tell it.
        pub(super) fn wait(&self, _: [&UnixStream; 3]) -> bool {
            let event = self.queue.poll(Some(self.timeout));
            // It may come before there is another parent, and comes once.
            event.is_some_and(|event| matches!(event.ident, Ident::Pid(_)))
        }
    }
}
