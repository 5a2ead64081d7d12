//! Who has what, and what happens to whom and when.
//!
//! Every Mac has the plug-in of one vendor, a few have more. The vendor's update comes to all of them
//! in a wave of a quarter of the month, a hot fix to a third later. Some Macs are imaged again, lose Full
//! Disk Access, have their clock set back, start osqueryd with an empty database or fall silent; forty
//! are attacked.

use std::collections::BTreeMap;

use dsplug::engine::Cell;
use serde_json::{Value, json};

use crate::asker::Asker;
use crate::attack::{self, Attack};
use crate::dice::Dice;
use crate::history::Histories;
use crate::host::{Change, Host, World, end_of};
use crate::schedule::{Use, awake, awake_for};
use crate::site::{ACME, BIRCH, FOLDER, LEGACY, Signers, Site};
use crate::story::{self, Act, Story};
use crate::{BEGIN, DAY};

/// How large the fleet is, and how long it is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Macs.
    pub hosts: usize,
    /// Days.
    pub days: i64,
    /// How much oftener than usual something goes wrong with a Mac.
    pub mishaps: i64,
    /// Another fleet of the same kind.
    pub seed: u64,
}

/// The stories that many Macs share, by their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shared {
    /// The vendor's plug-in alone: its three versions.
    Plain,
    /// Another vendor's beside it: both old, the first new, both new.
    Birch,
    /// An unsigned one beside it: before the update, after it, and after the old one was removed.
    Legacy,
    /// The same with an exception for the old one, which stays.
    Excepted,
    /// Imaged with the second version.
    Second,
    /// Imaged without any, the first version installed after.
    Bare,
    /// The same with the second version.
    BareSecond,
}

impl Shared {
    const ALL: [Self; 7] = [
        Self::Plain,
        Self::Birch,
        Self::Legacy,
        Self::Excepted,
        Self::Second,
        Self::Bare,
        Self::BareSecond,
    ];

    fn index(self) -> usize {
        Self::ALL
            .iter()
            .position(|s| *s == self)
            .expect("one of all")
    }

    fn acts(self) -> Vec<Act> {
        let acme = |version: u8| -> Act { Box::new(move |site| site.acme(Some(version))) };
        let nothing: Act = Box::new(|_| ());
        match self {
            Self::Plain => vec![acme(1), acme(2), acme(3)],
            Self::Birch => vec![
                Box::new(|site| {
                    site.acme(Some(1));
                    site.birch(1);
                }),
                acme(2),
                Box::new(|site| site.birch(2)),
            ],
            Self::Legacy | Self::Excepted => vec![
                Box::new(move |site| {
                    site.acme(Some(1));
                    site.legacy();
                    if self == Self::Excepted {
                        site.except_legacy();
                    }
                }),
                acme(2),
                Box::new(|site| crate::site::remove(&site.plugin(&format!("{LEGACY}.dsplug")))),
            ],
            Self::Second => vec![acme(2), acme(3)],
            Self::Bare => vec![nothing, acme(1), acme(2)],
            Self::BareSecond => vec![nothing, acme(2), acme(3)],
        }
    }
}

/// A fleet that is ready to live.
pub struct Fleet {
    /// What its Macs are made of.
    pub world: World,
    /// The Macs.
    pub hosts: Vec<Host>,
    /// What happens, a line each.
    pub truth: Vec<Value>,
}

/// Makes a fleet.
pub fn make(size: Size) -> Fleet {
    let signers = Signers::new();
    let mut asker = Asker::new();
    let mut stories = Vec::new();
    for shared in Shared::ALL {
        let site = Site::new(&signers);
        stories.push(story::tell(&mut asker, &site, &shared.acts(), true));
    }
    let mut planner = Planner {
        size,
        end: end_of(size.days),
        truth: vec![json!({
            "kind": "fleet", "hosts": size.hosts, "days": size.days,
            "begin": BEGIN, "end": end_of(size.days),
        })],
        came: BTreeMap::new(),
    };
    let attacks = attack::all();
    let every = size.hosts / attacks.len();
    assert!(every > 0, "there are fewer Macs than attacks");
    let mut attacks: BTreeMap<usize, Attack> = attacks
        .into_iter()
        .enumerate()
        .map(|(index, attack)| (index * every + every / 2, attack))
        .collect();
    let mut hosts = Vec::new();
    for index in 0..size.hosts {
        let host = match attacks.remove(&index) {
            None => planner.ordinary(index),
            Some(attack) => {
                let (mut host, acts) = planner.attacked(index, attack);
                let site = Site::new(&signers);
                host.story = stories.len();
                stories.push(story::tell(&mut asker, &site, &acts, false));
                host
            }
        };
        hosts.push(host);
    }
    let releases = planner.releases(&asker, &stories);
    planner.truth.extend(releases);
    Fleet {
        world: World {
            asker,
            stories,
            histories: Histories::default(),
        },
        hosts,
        truth: planner.truth,
    }
}

struct Planner {
    size: Size,
    end: i64,
    truth: Vec<Value>,
    /// When the versions came to the first and the last Mac, and to how many.
    came: BTreeMap<(&'static str, u8), (i64, i64, u64)>,
}

impl Planner {
    /// A moment of the month, by how much of it has passed, in thousandths.
    fn at(&self, thousandths: i64) -> i64 {
        BEGIN + (self.end - BEGIN) * thousandths / 1000
    }

    fn note(&mut self, kind: &str, host: &Host, time: i64) {
        self.truth
            .push(json!({"kind": kind, "host": host.name, "time": time}));
    }

    fn comes(&mut self, name: &'static str, version: u8, time: i64) {
        let known = self.came.entry((name, version)).or_insert((time, time, 0));
        *known = (known.0.min(time), known.1.max(time), known.2 + 1);
    }

    fn host(&self, index: usize, dice: &mut Dice) -> Host {
        let usage = if dice.happens(350) {
            Use::Desktop
        } else {
            Use::Laptop
        };
        let mut spans = awake(usage, BEGIN, self.end, dice);
        if awake_for(&spans, BEGIN, 7200).is_none() {
            // Whoever is away all the time is no Mac of this fleet.
            spans = vec![(BEGIN, self.end)];
        }
        let begins = BEGIN + dice.between(0, DAY / 4);
        let begins = awake_for(&spans, begins, 3600).unwrap_or(spans[0].0);
        Host {
            name: dice.uuid(),
            begins,
            ends: self.end,
            installed: BEGIN - dice.between(30 * DAY, 400 * DAY),
            story: Shared::Plain.index(),
            state: 0,
            alone: false,
            changes: Vec::new(),
            seed: self.size.seed ^ (index as u64) << 8,
            spans,
        }
    }

    /// When a wave that begins and ends so comes to a Mac, if it is ever awake after.
    fn wave(&self, from: i64, to: i64, host: &Host, dice: &mut Dice) -> Option<i64> {
        let time = dice
            .between(self.at(from), self.at(to))
            .max(host.begins + 1800);
        let time = awake_for(&host.spans, time, 900)?;
        Some(time + dice.between(0, 600))
    }

    /// A Mac that nobody attacks.
    fn ordinary(&mut self, index: usize) -> Host {
        let mut dice = Dice::new(self.size.seed, index as u64);
        let mut host = self.host(index, &mut dice);
        let shared = match dice.between(0, 1000) {
            0..850 => Shared::Plain,
            850..950 => Shared::Birch,
            950..980 => Shared::Legacy,
            // Without root's rights no exception counts.
            _ if rustix::process::geteuid().is_root() => Shared::Excepted,
            _ => Shared::Plain,
        };
        host.story = shared.index();
        let update = self.wave(100, 350, &host, &mut dice);
        let later = match shared {
            Shared::Plain if !dice.happens(300) => None,
            Shared::Excepted => None,
            Shared::Plain => self.wave(650, 750, &host, &mut dice),
            _ => self.wave(500, 600, &host, &mut dice),
        };
        let image = (shared == Shared::Plain && dice.happens(12 * self.size.mishaps))
            .then(|| self.wave(30, 970, &host, &mut dice))
            .flatten();
        if let Some(image) = image {
            return self.imaged(host, image, update, &mut dice);
        }
        if let Some(time) = update {
            host.changes.push((time, Change::Step(1)));
            self.comes(ACME, 2, time);
            if let Some(later) = later.filter(|later| *later > time) {
                host.changes.push((later, Change::Step(2)));
                match shared {
                    Shared::Plain => self.comes(ACME, 3, later),
                    Shared::Birch => self.comes(BIRCH, 2, later),
                    _ => self.note("removed", &host, later),
                }
            }
        }
        self.mishaps(&mut host, &mut dice);
        host.changes.sort_by_key(|(time, _)| *time);
        host
    }

    /// A Mac that is imaged again: with the plug-in that is the newest then, or without, and it is
    /// installed after a while.
    fn imaged(&mut self, mut host: Host, image: i64, update: Option<i64>, dice: &mut Dice) -> Host {
        let early = update.filter(|update| *update > image + 7200);
        if let Some(update) = update.filter(|update| *update < image) {
            host.changes.push((update, Change::Step(1)));
            self.comes(ACME, 2, update);
        }
        let is_bare = dice.happens(500);
        let story = match (is_bare, early) {
            (false, Some(_)) => Shared::Plain,
            (false, None) => Shared::Second,
            (true, Some(_)) => Shared::Bare,
            (true, None) => Shared::BareSecond,
        };
        let story = story.index();
        host.changes
            .push((image, Change::Image { story, state: 0 }));
        self.note("imaged", &host, image);
        if is_bare {
            let time = image + dice.between(300, 5400);
            if let Some(time) = awake_for(&host.spans, time, 60) {
                host.changes.push((time, Change::Step(1)));
                self.comes(ACME, if early.is_some() { 1 } else { 2 }, time);
            }
        }
        if let Some(update) = early {
            host.changes
                .push((update, Change::Step(1 + usize::from(is_bare))));
            self.comes(ACME, 2, update);
        }
        host.changes.sort_by_key(|(time, _)| *time);
        host
    }

    /// What goes wrong with a Mac and is no attack.
    fn mishaps(&mut self, host: &mut Host, dice: &mut Dice) {
        let often = self.size.mishaps;
        if dice.happens(10 * often)
            && let Some(time) = self.wave(30, 900, host, dice)
        {
            let back = time + dice.between(DAY / 24, 2 * DAY);
            host.changes.push((time, Change::Readable(false)));
            host.changes.push((back, Change::Readable(true)));
            self.note("full_disk_access_lost", host, time);
            self.note("full_disk_access_back", host, back);
        }
        if dice.happens(10 * often)
            && let Some(time) = self.wave(30, 900, host, dice)
        {
            let back = time + dice.between(DAY / 24, DAY);
            let offset = -dice.between(DAY, 5 * DAY);
            host.changes.push((time, Change::Clock(offset)));
            host.changes.push((back, Change::Clock(0)));
            self.note("clock_set_back", host, time);
            self.note("clock_right", host, back);
        }
        if dice.happens(20 * often)
            && let Some(time) = self.wave(30, 970, host, dice)
        {
            host.changes.push((time, Change::EmptyDatabase));
            self.note("database_emptied", host, time);
        }
        if dice.happens(5 * often) {
            host.ends = dice.between(self.at(200), self.at(950));
            self.note("silent", host, host.ends);
        }
    }

    /// A Mac that is attacked, cleaned after, and updated before or after that.
    fn attacked(&mut self, index: usize, attack: Attack) -> (Host, Vec<Act>) {
        let mut dice = Dice::new(self.size.seed, index as u64);
        let mut host = self.host(index, &mut dice);
        host.alone = true;
        let mut update = self.wave(100, 350, &host, &mut dice);
        let least = match (attack.after_update, update) {
            (true, Some(update)) => update + 3600,
            _ => host.begins + DAY / 4,
        };
        let time = dice.between(self.at(50), self.at(850)).max(least);
        // Nobody attacks a Mac that is asleep: one that sleeps through the rest is one that does not.
        let time = awake_for(&host.spans, time, 3600).unwrap_or_else(|| {
            host.spans = vec![(host.spans[0].0, self.end)];
            time
        });
        let time = time + dice.between(0, 600);
        let clean = time + self.size.days * DAY / 20;
        let clean = awake_for(&host.spans, clean, 900);
        // Nobody updates a plug-in while the attack stands.
        let stands = (time - 900)..(clean.unwrap_or(self.end) + 900);
        if let Some(at) = update.filter(|update| stands.contains(update)) {
            update = awake_for(&host.spans, stands.end.max(at), 900);
        }
        self.truth.push(json!({
            "kind": "attack", "evasion": attack.name, "what": attack.what, "host": host.name,
            "time": time, "until": clean, "path": attack.path,
        }));
        let before = attack.before;
        let mut acts: Vec<(i64, Act)> = vec![(
            i64::MIN,
            Box::new(move |site| {
                site.acme(Some(1));
                if let Some(before) = &before {
                    before(site);
                }
            }),
        )];
        if let Some(update) = update {
            acts.push((update, Box::new(|site| site.acme(Some(2)))));
            self.comes(ACME, 2, update);
        }
        let steps = attack.acts.into_iter();
        acts.extend(steps.map(|(after, act)| (time + after, act)));
        if let Some(clean) = clean {
            acts.push((clean, Box::new(Site::clean)));
        }
        acts.sort_by_key(|(time, _)| *time);
        let steps = acts.iter().enumerate().skip(1);
        host.changes = steps
            .map(|(step, (at, _))| (*at, Change::Step(step)))
            .collect();
        if attack.empties {
            host.changes.push((time + 1, Change::EmptyDatabase));
            host.changes.sort_by_key(|(time, _)| *time);
        }
        (host, acts.into_iter().map(|(_, act)| act).collect())
    }

    /// The vendors' versions, with what they look like in the log.
    fn releases(&self, asker: &Asker, stories: &[Story]) -> Vec<Value> {
        let modified = asker
            .queries
            .iter()
            .position(|q| q.name.ends_with("_modified"));
        let modified = modified.expect("the query");
        let hash = |shared: Shared, state: usize, name: &str| {
            let path = Cell::Text(format!("{FOLDER}/{name}.dsplug"));
            let rows = stories[shared.index()].states[state].answers[modified].as_ref();
            let row = rows.and_then(|rows| rows.iter().find(|row| row["path"] == path));
            row.expect("the vendor's bundle")["hash"].to_string()
        };
        let known = [
            (ACME, 1, Shared::Plain, 0),
            (ACME, 2, Shared::Plain, 1),
            (ACME, 3, Shared::Plain, 2),
            (BIRCH, 1, Shared::Birch, 0),
            (BIRCH, 2, Shared::Birch, 2),
            (LEGACY, 1, Shared::Legacy, 0),
        ];
        known
            .into_iter()
            .map(|(name, version, shared, state)| {
                let came = self.came.get(&(name, version));
                json!({
                    "kind": "release", "vendor": name, "version": version,
                    "path": format!("{FOLDER}/{name}.dsplug"), "hash": hash(shared, state, name),
                    "signed": name != LEGACY,
                    "first": came.map(|c| c.0), "last": came.map(|c| c.1),
                    "hosts": came.map_or(0, |c| c.2),
                })
            })
            .collect()
    }
}
