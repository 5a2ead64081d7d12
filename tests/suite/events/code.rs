//! Other code that stands in a bundle for less than a quarter of a second, at looks that have it whole.

use std::fs;
use std::path::Path;

use dsplug::event::{Action, Event};
use dsplug_fixtures::macho::{Cpu, Fat, MachO};
use dsplug_fixtures::{Disk, Plugin};

use super::looks::Looks;
use super::{make, sha256};

fn macho(marker: &str) -> Vec<u8> {
    let mut code = MachO::bundle(Cpu::X86_64).unsigned();
    code.extend_from_slice(marker.as_bytes());
    code
}

/// Puts other code in a file's place at once.
fn swap(disk: &Disk, file: &Path, code: &[u8]) {
    let new = disk.at("new");
    fs::write(&new, code).unwrap();
    fs::rename(new, file).unwrap();
}

fn told(events: &[Event], name: &str) -> Vec<(Action, String)> {
    let of_it = events.iter().filter(|e| e.path.ends_with(name));
    of_it
        .map(|e| (e.action, e.state.executable_hash.to_string()))
        .collect()
}

/// A look each 50 ms, of a bundle that is touched before each.
fn looks_under_touches(looks: &mut Looks, at: &mut u64, file: &Path, count: u32) -> Vec<Event> {
    let mut events = Vec::new();
    for _ in 0..count {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(*at + 1);
        let _ = fs::File::open(file).map(|file| file.set_modified(time).unwrap());
        *at += 50;
        events.extend(looks.events_at(*at));
    }
    events
}

/// One that waits because others of its kind have used up the lines.
#[test]
fn code_that_stands_in_a_bundle_that_waits_is_told() {
    let (good, evil) = (macho("good"), macho("evil"));
    let disk = Disk::new();
    let mut looks = Looks::begin(&disk);
    let copy = |name: &str| {
        Plugin::new("A")
            .executable(good.clone())
            .write_as(disk.plugin(name))
    };
    (0..130).for_each(|n| drop(copy(&format!("n{n:03}.dsplug"))));
    looks.events_at(50);
    assert!(looks.events_at(400).len() >= 120);
    let code = copy("victim.dsplug").join("Contents/MacOS/A");
    let mut at = 5_000;
    looks.events_at(at);
    assert_eq!(told(&looks.events_at(at + 400), "victim.dsplug"), []);
    let mut events = Vec::new();
    for _ in 0..3 {
        swap(&disk, &code, &evil);
        events.extend(looks_under_touches(&mut looks, &mut at, &code, 4));
        swap(&disk, &code, &good);
        at += 500;
        events.extend(looks.events_at(at - 100));
        events.extend(looks.events_at(at));
    }
    let told = told(&events, "victim.dsplug");
    let is_evil = |(_, hash): &&(Action, String)| *hash == *sha256(&evil);
    assert!(told.iter().any(|e| is_evil(&e)), "{told:?}");
    assert!(told.len() < 12, "{told:?}");
}

/// What stood there first is what has appeared, whatever took its place before it was told.
#[test]
fn what_appears_is_what_stood_there_first() {
    let (good, evil) = (macho("good"), macho("evil"));
    for empties in [false, true] {
        let disk = Disk::new();
        let mut looks = Looks::begin(&disk);
        let bundle = Plugin::new("A")
            .executable(evil.clone())
            .write_as(disk.plugin("A.dsplug"));
        let code = bundle.join("Contents/MacOS/A");
        let mut at = 0;
        let mut events = looks_under_touches(&mut looks, &mut at, &code, 4);
        assert_eq!(events, []);
        if empties {
            fs::rename(bundle.join("Contents"), disk.at("away")).unwrap();
        } else {
            swap(&disk, &code, &good);
        }
        for _ in 0..8 {
            at += 50;
            events.extend(looks.events_at(at));
        }
        let last = if empties {
            String::new()
        } else {
            sha256(&good)
        };
        let wanted = [(Action::Appeared, sha256(&evil)), (Action::Changed, last)];
        assert_eq!(told(&events, "A.dsplug"), wanted, "{events:#?}");
    }
}

/// As long as what follows it is what was told and a new file of no weight.
#[test]
fn short_lived_code_is_told_whatever_follows_it() {
    let (good, evil) = (macho("good"), macho("evil"));
    let disk = Disk::new();
    let bundle = make(&disk.plugin("A.dsplug"), &good);
    let code = bundle.join("Contents/MacOS/A");
    let mut looks = Looks::begin(&disk);
    let mut at = 10_000;
    for number in 0..3 {
        let mut events = Vec::new();
        swap(&disk, &code, &evil);
        for _ in 0..4 {
            at += 50;
            events.extend(looks.events_at(at));
        }
        swap(&disk, &code, &good);
        fs::write(bundle.join("Contents/junk"), number.to_string()).unwrap();
        for _ in 0..8 {
            at += 50;
            events.extend(looks.events_at(at));
        }
        let wanted = [
            (Action::Changed, sha256(&evil)),
            (Action::Changed, sha256(&good)),
        ];
        assert_eq!(told(&events, "A.dsplug"), wanted);
    }
}

/// A library that hides another from dyld is away: no turn is a quarter of a second, and all of them are.
#[test]
fn code_that_was_away_by_turns_is_told() {
    let disk = Disk::new();
    let bundle = make(&disk.plugin("A.dsplug"), &macho("code"));
    let hides = bundle.join("Contents/l.dylib");
    fs::write(&hides, macho("hides")).unwrap();
    let list = bundle.join("Contents/Info.plist");
    let mut looks = Looks::begin(&disk);
    let mut at = 10_000;
    let mut events = Vec::new();
    for _ in 0..3 {
        fs::rename(&hides, disk.at("away")).unwrap();
        events.extend(looks_under_touches(&mut looks, &mut at, &list, 3));
        fs::rename(disk.at("away"), &hides).unwrap();
        events.extend(looks_under_touches(&mut looks, &mut at, &list, 3));
    }
    fs::write(bundle.join("Contents/junk"), "").unwrap();
    events.extend([looks.events_at(at + 50), looks.events_at(at + 500)].concat());
    let of_it = events.iter().filter(|e| e.path.ends_with("/A.dsplug"));
    let codes: Vec<_> = of_it.map(|e| e.state.code_hash.to_string()).collect();
    assert_eq!(codes.len(), 2, "{events:#?}");
    assert_ne!(codes[0], codes[1]);
}

/// An Info.plist that has another file of the bundle run.
#[test]
fn a_list_that_names_other_code_for_a_moment_is_told() {
    let disk = Disk::new();
    let bundle = make(&disk.plugin("A.dsplug"), &macho("good"));
    fs::write(bundle.join("Contents/MacOS/B"), macho("evil")).unwrap();
    let list = bundle.join("Contents/Info.plist");
    let honest = fs::read_to_string(&list).unwrap();
    let other = honest.replace("<string>A</string>", "<string>B</string>");
    let mut looks = Looks::begin(&disk);
    swap(&disk, &list, other.as_bytes());
    let mut events = looks.events_at(10_000);
    swap(&disk, &list, honest.as_bytes());
    fs::write(bundle.join("Contents/junk"), "").unwrap();
    for at in [10_100, 10_200, 10_500] {
        events.extend(looks.events_at(at));
    }
    let wanted = [
        (Action::Changed, sha256(&macho("evil"))),
        (Action::Changed, sha256(&macho("good"))),
    ];
    assert_eq!(told(&events, "A.dsplug"), wanted);
}

/// Writes a bundle as an installer does, a look after each piece: directories, the list, code in pieces, by the file
/// itself or by another that is renamed then, and the signature last.
fn install(
    looks: &mut Looks,
    at: &mut u64,
    step: u64,
    [from, to]: [&Path; 2],
    beside: bool,
) -> Vec<Event> {
    let mut events = Vec::new();
    let mut look = || {
        *at += step;
        events.extend(looks.events_at(*at));
    };
    for place in ["", "Contents", "Contents/MacOS", "Contents/_CodeSignature"] {
        let _ = fs::create_dir(to.join(place));
        look();
    }
    let files = [
        "Contents/Info.plist",
        "Contents/MacOS/A",
        "Contents/lib.dylib",
        "Contents/resource",
        "Contents/_CodeSignature/CodeResources",
    ];
    for name in files {
        let Ok(bytes) = fs::read(from.join(name)) else {
            continue;
        };
        let real = to.join(name);
        let file = if beside {
            real.with_file_name(".A.tmp")
        } else {
            real.clone()
        };
        for part in 1..=6 {
            let upto = bytes.len() * part / 6;
            let options = fs::File::options()
                .write(true)
                .create(true)
                .truncate(part == 1)
                .open(&file);
            let mut open = options.unwrap();
            let from = if part == 1 {
                0
            } else {
                bytes.len() * (part - 1) / 6
            };
            std::io::Seek::seek(&mut open, std::io::SeekFrom::Start(from as u64)).unwrap();
            std::io::Write::write_all(&mut open, &bytes[from..upto]).unwrap();
            look();
        }
        if beside {
            fs::rename(file, real).unwrap();
            look();
        }
    }
    events
}

/// As ever: one event for each, however many looks have a part of it.
#[test]
fn installs_and_updates_of_large_code_are_one_event_each() {
    let code = |text: &str| {
        let of = |cpu| {
            let mut code = MachO::bundle(cpu).code_len(40_000).unsigned();
            code.extend_from_slice(text.as_bytes());
            code
        };
        [
            of(Cpu::X86_64),
            Fat::of(&[(Cpu::X86_64, of(Cpu::X86_64)), (Cpu::Arm64, of(Cpu::Arm64))]).build(),
        ]
    };
    for (kind, beside, step) in [(0, false, 20), (1, false, 20), (0, true, 20), (1, true, 5)] {
        let disk = Disk::new();
        let version = |name: &str, code: &[u8], resource: &str| {
            let from = Plugin::new("A")
                .executable(code.to_vec())
                .write_as(disk.at(name));
            fs::write(from.join("Contents/lib.dylib"), code).unwrap();
            fs::write(from.join("Contents/resource"), resource).unwrap();
            from
        };
        let one = version("one", &code("one")[kind], "1");
        let two = version("two", &code("two")[kind], "2");
        let three = version("three", &code("two")[kind], "3");
        let to = disk.plugin("A.dsplug");
        let mut looks = Looks::begin(&disk);
        let mut at = 0;
        // What comes is told after a quarter of a second, and again once it has settled.
        let mut events = install(&mut looks, &mut at, step, [&one, &to], beside);
        events.extend([looks.events_at(at + 100), looks.events_at(at + 500)].concat());
        let most = if step < 10 { 1 } else { 2 };
        assert!(
            (1..=most).contains(&events.len()),
            "{kind} {beside}: {events:#?}"
        );
        // An update, and one of a resource alone, over what stands there or anew.
        for (anew, from) in [
            (false, &two),
            (false, &three),
            (true, &one),
            (true, &two),
            (true, &three),
        ] {
            at += 10_000;
            let mut events = looks.events_at(at);
            if anew {
                for part in ["Contents/MacOS", "Contents/lib.dylib", "Contents", ""] {
                    let part = to.join(part);
                    let _ = fs::remove_dir_all(&part).or_else(|_| fs::remove_file(&part));
                    if part != to {
                        at += step;
                        events.extend(looks.events_at(at));
                    }
                }
            }
            events.extend(install(&mut looks, &mut at, step, [from, &to], beside));
            events.extend([looks.events_at(at + 100), looks.events_at(at + 500)].concat());
            let of_it = events.iter().filter(|e| e.path.ends_with("/A.dsplug"));
            assert_eq!(of_it.count(), 1, "{kind} {beside} {anew}: {events:#?}");
        }
    }
}

/// More code than is held of one bundle, file by file, in whatever order it comes and goes.
#[test]
fn a_bundle_of_many_libraries_is_one_event_each_time() {
    let disk = Disk::new();
    let mut looks = Looks::begin(&disk);
    let bundle = make(&disk.plugin("A.dsplug"), &macho("code"));
    let library = |n: u32| bundle.join(format!("Contents/{n:02}.dylib"));
    let order: Vec<u32> = (0..40).map(|n| n * 17 % 40).collect();
    let mut at = 0;
    let mut events = Vec::new();
    for n in &order {
        fs::write(library(*n), macho(&n.to_string())).unwrap();
        at += 5;
        events.extend(looks.events_at(at));
    }
    events.extend(looks.events_at(at + 400));
    assert_eq!(events.len(), 1, "{events:#?}");
    at += 10_000;
    let mut events = looks.events_at(at);
    for n in &order {
        fs::remove_file(library(*n)).unwrap();
        at += 5;
        events.extend(looks.events_at(at));
    }
    fs::remove_dir_all(&bundle).unwrap();
    events.extend(looks.events_at(at + 5));
    assert_eq!(events.len(), 1, "{events:#?}");
}
