//! The states that a disk goes through, each scanned and asked once, for all Macs that share it.
//!
//! The kernel gives every file the present as its times. So a time that a step of the story gave is
//! replaced by the number of the step, [`STEP`] and on, and each Mac puts in when that was on it.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dsplug::bundle::Bundle;
use dsplug::codesign::Roots;
use dsplug::limits::Limits;
use dsplug::meta::{Meta, Timestamp};
use dsplug::root::Root;
use dsplug::scan::{Scanner, Snapshot};
use dsplug_fixtures::{PLUGINS, chmod};

use crate::asker::{Answer, Asker};
use crate::site::Site;

/// The time that stands for the first step, in seconds; the next step is one more. No file has such
/// a time otherwise: it is in the year 2033.
pub const STEP: i64 = 2_000_000_000;
/// More steps than any story has.
pub const MOST_STEPS: i64 = 1_000;
/// Longer than a tick of the clock that the kernel takes times of files from.
const TICK: Duration = Duration::from_millis(6);

/// What is done to a disk in one step.
pub type Act = Box<dyn Fn(&Site)>;

/// A disk after one step.
#[derive(Debug)]
pub struct State {
    /// The answers of the queries.
    pub answers: Vec<Answer>,
    /// The same while the plug-in folder cannot be listed; empty where that was not asked.
    pub blind: Vec<Answer>,
    /// The bundles, for those who follow events.
    pub bundles: Vec<Arc<Bundle>>,
}

/// A disk, step by step.
#[derive(Debug)]
pub struct Story {
    /// What it was after each step.
    pub states: Vec<State>,
}

/// Lives through a story; with `blind`, every state is also looked at while it cannot be.
pub fn tell(asker: &mut Asker, site: &Site, acts: &[Act], blind: bool) -> Story {
    let mut calendar = Calendar::default();
    let mut states = Vec::new();
    for act in acts {
        act(site);
        let blind = if blind {
            let mut snapshot = unlisted(site);
            calendar.end_step();
            calendar.rewrite(&mut snapshot);
            asker.ask(&snapshot, site.disk.path())
        } else {
            calendar.end_step();
            Vec::new()
        };
        let mut snapshot = scan(site.disk.path(), site.signers.roots());
        calendar.rewrite(&mut snapshot);
        states.push(State {
            answers: asker.ask(&snapshot, site.disk.path()),
            blind,
            bundles: snapshot.bundles,
        });
    }
    Story { states }
}

fn scan(disk: &Path, roots: Roots) -> Snapshot {
    let root = Root::open(disk).expect("a root");
    Scanner::new(root, Limits::STANDARD)
        .with_roots(roots)
        .scan()
}

/// A scan that may not list the plug-in folder: as on a Mac where osqueryd has lost Full Disk Access,
/// being root is of no help.
fn unlisted(site: &Site) -> Snapshot {
    let folder = site.disk.at(PLUGINS);
    chmod(&folder, 0);
    let (disk, roots) = (site.disk.path().to_owned(), site.signers.roots());
    let look = move || {
        no_override();
        scan(&disk, roots)
    };
    let snapshot = thread::spawn(look).join().expect("a scan");
    chmod(&folder, 0o755);
    assert!(
        snapshot.unreadable().is_some(),
        "the folder could be listed"
    );
    snapshot
}

/// From now on this thread may read what its user may, and no more.
#[cfg(target_os = "linux")]
fn no_override() {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let mut sets = capabilities(None).expect("capabilities");
    let all = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    sets.effective.remove(all);
    set_capabilities(None, sets).expect("fewer capabilities");
}

#[cfg(not(target_os = "linux"))]
fn no_override() {}

/// When each step of a story ended.
#[derive(Debug, Default)]
struct Calendar {
    begun: Option<Timestamp>,
    ends: Vec<Timestamp>,
    /// In which step an inode was seen first, and as which of them.
    born: std::collections::HashMap<(u64, u64), (i64, u64)>,
}

impl Calendar {
    fn end_step(&mut self) {
        let now = now();
        // A minute before: the kernel's coarse clock may be behind, and the disk is made just before.
        self.begun.get_or_insert(Timestamp {
            seconds: now.seconds - 60,
            nanoseconds: 0,
        });
        self.ends.push(now);
        thread::sleep(TICK);
    }

    /// The step that gave a time, as the time that stands for it; another time as it is.
    fn step(&self, time: Timestamp) -> Timestamp {
        let after = self.begun.is_some_and(|begun| time >= begun);
        let index = self.ends.partition_point(|end| *end < time);
        if !after || index >= self.ends.len() {
            return time;
        }
        Timestamp {
            seconds: STEP + index as i64,
            nanoseconds: 0,
        }
    }

    fn meta(&mut self, meta: &mut Meta) {
        let last = STEP + self.ends.len() as i64 - 1;
        let number = self.born.len() as u64;
        let inode = self.born.entry((meta.dev, meta.ino));
        let (born, number) = *inode.or_insert((last, number));
        meta.btime = Some(born);
        meta.ino = number;
        (meta.mtime, meta.ctime) = (self.step(meta.mtime), self.step(meta.ctime));
    }

    fn rewrite(&mut self, snapshot: &mut Snapshot) {
        for folder in &mut snapshot.folders {
            folder.meta.iter_mut().for_each(|m| self.meta(m));
        }
        for bundle in &mut snapshot.bundles {
            let evidence = &mut Arc::make_mut(bundle).evidence;
            let own = evidence.meta.iter_mut().chain(&mut evidence.resolved_meta);
            let plist = evidence
                .info_plist
                .iter_mut()
                .filter_map(|p| Arc::make_mut(p).meta.as_mut());
            let entries = Arc::make_mut(&mut evidence.entries)
                .iter_mut()
                .map(|e| &mut e.meta);
            let executable = evidence.executable.iter_mut().map(|e| &mut e.meta);
            let linked = Arc::make_mut(&mut evidence.reach).places.iter_mut();
            let linked = linked.flat_map(|(_, place)| {
                let inner = place.entries.iter_mut().map(|e| &mut e.meta);
                inner.chain([&mut place.meta])
            });
            let all = own
                .chain(plist)
                .chain(entries)
                .chain(executable)
                .chain(linked);
            all.for_each(|m| self.meta(m));
        }
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    Timestamp {
        seconds: since.as_secs() as i64,
        nanoseconds: since.subsec_nanos(),
    }
}
