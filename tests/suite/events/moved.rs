//! What stands elsewhere now, and is what it was: one rename moves what thousands of bundles lead to, by no byte.

use std::fs;
use std::path::Path;

use dsplug::event::Event;
use dsplug_fixtures::macho::{Cpu, MachO};
use dsplug_fixtures::{Disk, PLUGINS, Plugin};

use super::crowd::{AT_ONCE, Crowd};
use super::sha256;

/// Bundles that lead to what a link has them find, wherever that leads.
const MANY: usize = 400;
const CURRENT: &str = "Users/Shared/cur";

/// Where all of it stands after so many moves.
fn place(round: usize) -> String {
    format!("Users/Shared/t{round}")
}

/// Moves all of it, and has the link lead there.
fn moves(disk: &Disk, round: usize) {
    fs::rename(disk.at(place(round - 1)), disk.at(place(round))).unwrap();
    fs::remove_file(disk.at(CURRENT)).unwrap();
    disk.link(CURRENT, format!("/{}", place(round)));
}

fn settled(crowd: &mut Crowd) -> Vec<Event> {
    [crowd.settled(), crowd.after(3_000)].concat()
}

/// Moves it again and again: what is new is told each time, and of the rest as much as there are lines for.
#[track_caller]
fn is_told_in_part(disk: Disk, moves: impl Fn(&Disk, usize), code: impl Fn(usize) -> String) {
    let mut crowd = Crowd::begin(disk);
    let mut told = 0;
    for round in 1..6 {
        moves(&crowd.disk, round);
        told += settled(&mut crowd).len();
    }
    assert!((AT_ONCE..AT_ONCE + 60).contains(&told), "{told}");
    for round in 6..9 {
        moves(&crowd.disk, round);
        let evil = format!("evil {round}");
        fs::write(crowd.disk.at(code(round)), &evil).unwrap();
        let events = settled(&mut crowd);
        let hash = sha256(evil.as_bytes());
        let is_told = |e: &Event| e.state.executable_hash == *hash;
        assert!(events.iter().any(is_told), "{round}: {events:#?}");
    }
}

fn target(number: usize) -> String {
    format!("{number}.dsplug")
}

/// As many links to bundles, each of them finished by `more`.
fn links_to_what_moves(disk: &Disk, more: impl Fn(&Path)) {
    for number in 0..MANY {
        let name = target(number);
        more(&Plugin::new("X").write_as(disk.at(place(0)).join(&name)));
        disk.link(format!("{PLUGINS}/{name}"), format!("/{CURRENT}/{name}"));
    }
    disk.link(CURRENT, format!("/{}", place(0)));
}

/// As many bundles that hold such a link: the word for them is that of one that was merely moved.
fn links_in_them_to_what_moves(disk: &Disk) {
    for number in 0..MANY {
        Plugin::new(&format!("y{number}")).write(disk.plugin(""));
        disk.file(format!("{}/y{number}", place(0)), "code");
        let link = format!("{PLUGINS}/y{number}.dsplug/Contents/l");
        disk.link(link, format!("/{CURRENT}/y{number}"));
    }
}

#[test]
fn thousands_of_links_to_what_is_moved_are_told_in_part() {
    let disk = Disk::new();
    links_to_what_moves(&disk, |_| ());
    is_told_in_part(disk, moves, |round| {
        format!("{}/{}/Contents/MacOS/X", place(round), target(MANY - 1))
    });
}

#[test]
fn thousands_that_run_what_is_moved_are_told_in_part() {
    let disk = Disk::new();
    for number in 0..MANY {
        let name = format!("x{number}");
        Plugin::new(&name)
            .key("CFBundleExecutable", format!("/{CURRENT}/{name}"))
            .write(disk.plugin(""));
        disk.file(format!("{}/{name}", place(0)), "code");
    }
    disk.link(CURRENT, format!("/{}", place(0)));
    is_told_in_part(disk, moves, |round| format!("{}/x399", place(round)));
}

/// A link in each of them leads to code of its own.
#[test]
fn thousands_with_links_to_what_is_moved_are_told_in_part() {
    let disk = Disk::new();
    for number in 0..MANY {
        let name = format!("x{number}");
        Plugin::new(&name).write(disk.plugin(""));
        let executable = format!("{PLUGINS}/{name}.dsplug/Contents/MacOS/{name}");
        fs::remove_file(disk.at(&executable)).unwrap();
        disk.file(format!("{}/{name}", place(0)), "code");
        disk.link(executable, format!("/{CURRENT}/{name}"));
    }
    disk.link(CURRENT, format!("/{}", place(0)));
    is_told_in_part(disk, moves, |round| format!("{}/x399", place(round)));
}

/// Links that lead elsewhere each time they come, to what they led to before.
#[test]
fn thousands_of_links_that_come_back_are_told_in_part() {
    let disk = Disk::new();
    let links = |disk: &Disk, round: usize| {
        for number in 0..MANY {
            let name = target(number);
            disk.link(
                format!("{PLUGINS}/{name}"),
                format!("/{}/{name}", place(round)),
            );
        }
    };
    for number in 0..MANY {
        Plugin::new("X").write_as(disk.at(place(0)).join(target(number)));
    }
    let mut crowd = Crowd::begin(disk);
    let mut told = 0;
    for round in 0..4 {
        if round > 0 {
            for number in 0..MANY {
                fs::remove_file(crowd.disk.plugin(target(number))).unwrap();
            }
            told += settled(&mut crowd).len();
            fs::rename(crowd.disk.at(place(round - 1)), crowd.disk.at(place(round))).unwrap();
        }
        links(&crowd.disk, round);
        told += settled(&mut crowd).len();
    }
    assert!((AT_ONCE..3 * AT_ONCE).contains(&told), "{told}");
}

/// Of each not all could be read, before it was moved and after.
#[test]
fn thousands_of_links_to_what_is_not_read_whole_are_told_in_part() {
    let disk = Disk::new();
    links_to_what_moves(&disk, |bundle| {
        let hole = fs::File::create(bundle.join("hole")).unwrap();
        hole.set_len(3 << 30).unwrap();
    });
    is_told_in_part(disk, moves, |round| {
        format!("{}/{}/Contents/MacOS/X", place(round), target(MANY - 1))
    });
}

/// Two that a bundle loads, by one path each: both are there whichever stands where.
#[test]
fn two_libraries_that_change_places_are_told_whatever_was_moved() {
    let disk = Disk::new();
    let pair = |name: &str| {
        let at = |which: &str| format!("Users/Shared/{name}/{which}/lib.dylib");
        for which in ["a", "b"] {
            let code = MachO::dylib(Cpu::X86_64).code_len(4096 + name.len() + which.len() * 8);
            disk.file(at(which), [code.unsigned(), which.into()].concat());
        }
        let code = MachO::bundle(Cpu::X86_64).dylib_path(&format!("/{}", at("a")));
        Plugin::new(name)
            .executable(code.unsigned())
            .write(disk.plugin(""));
        disk.link(
            format!("{PLUGINS}/{name}.dsplug/Contents/doc"),
            format!("/{}", at("b")),
        );
    };
    ["AAA", "Vendor"].into_iter().for_each(pair);
    links_to_what_moves(&disk, |_| ());
    let mut crowd = Crowd::begin(disk);
    let swap = |crowd: &mut Crowd, name: &str| {
        let at = |which: &str| {
            crowd
                .disk
                .at(format!("Users/Shared/{name}/{which}/lib.dylib"))
        };
        fs::rename(at("a"), at("c")).unwrap();
        fs::rename(at("b"), at("a")).unwrap();
        fs::rename(at("c"), at("b")).unwrap();
        let events = settled(crowd);
        let is_of = |e: &&Event| e.path.ends_with(&format!("/{name}.dsplug"));
        events.iter().filter(is_of).count()
    };
    for which in ["AAA", "Vendor"] {
        fs::create_dir(crowd.disk.at(format!("Users/Shared/{which}/c"))).unwrap();
    }
    assert_eq!(swap(&mut crowd, "AAA"), 1);
    moves(&crowd.disk, 1);
    settled(&mut crowd);
    // And back.
    for _ in 0..2 {
        assert_eq!(swap(&mut crowd, "Vendor"), 1);
    }
}

/// What outside leads back into a bundle is nothing that was moved when it leads elsewhere in it.
#[test]
fn another_library_in_the_bundle_is_told_whatever_was_moved() {
    let disk = Disk::new();
    let code = MachO::bundle(Cpu::X86_64).dylib_path("/Users/Shared/l");
    Plugin::new("V")
        .executable(code.unsigned())
        .file("Contents/a", MachO::dylib(Cpu::X86_64).unsigned())
        .file(
            "Contents/b",
            MachO::dylib(Cpu::X86_64).code_len(6_000).unsigned(),
        )
        .write(disk.plugin(""));
    let lead = |disk: &Disk, name: &str| {
        let _ = fs::remove_file(disk.at("Users/Shared/l"));
        disk.link(
            "Users/Shared/l",
            format!("/{PLUGINS}/V.dsplug/Contents/{name}"),
        );
    };
    lead(&disk, "a");
    links_in_them_to_what_moves(&disk);
    links_to_what_moves(&disk, |_| ());
    let mut crowd = Crowd::begin(disk);
    moves(&crowd.disk, 1);
    settled(&mut crowd);
    for name in ["b", "a"] {
        lead(&crowd.disk, name);
        let events = settled(&mut crowd);
        let is_told = |e: &Event| e.path.ends_with("/V.dsplug") && e.changed == "linked";
        assert!(events.iter().any(is_told), "{name}: {events:#?}");
    }
}

/// A directory has nothing of its own that could be compared: what it holds is.
#[test]
fn another_directory_of_the_bundle_is_told_whatever_was_moved() {
    let disk = Disk::new();
    let library = |len| MachO::dylib(Cpu::X86_64).code_len(len).unsigned();
    Plugin::new("V")
        .file("Contents/a/x", library(5_000))
        .file("Contents/a-b", "between the two by their bytes")
        .file("Contents/b/x", library(6_000))
        .write(disk.plugin(""));
    let lead = |disk: &Disk, name: &str| {
        let _ = fs::remove_file(disk.at("Users/Shared/l"));
        disk.link(
            "Users/Shared/l",
            format!("/{PLUGINS}/V.dsplug/Contents/{name}"),
        );
    };
    lead(&disk, "a");
    disk.link(
        format!("{PLUGINS}/V.dsplug/Contents/Frameworks"),
        "/Users/Shared/l",
    );
    links_in_them_to_what_moves(&disk);
    links_to_what_moves(&disk, |_| ());
    let mut crowd = Crowd::begin(disk);
    moves(&crowd.disk, 1);
    settled(&mut crowd);
    for name in ["b", "a"] {
        lead(&crowd.disk, name);
        let events = settled(&mut crowd);
        let is_told = |e: &Event| e.path.ends_with("/V.dsplug") && e.changed == "linked";
        assert!(events.iter().any(is_told), "{name}: {events:#?}");
    }
}

/// One link has each find what is its own in itself, or a copy of it elsewhere. `plant` makes one with its copy, by its
/// name, and has it ask by `/CURRENT`.
#[track_caller]
fn is_told_in_part_found_in_itself(plant: impl Fn(&Disk, &str)) {
    let disk = Disk::new();
    for number in 0..MANY {
        plant(&disk, &format!("x{number}"));
    }
    disk.link(CURRENT, format!("/{}", place(0)));
    let flip = |disk: &Disk, round: usize| {
        fs::remove_file(disk.at(CURRENT)).unwrap();
        let to = [place(0), PLUGINS.to_owned()];
        disk.link(CURRENT, format!("/{}", to[round % 2]));
    };
    let code = |_| format!("{PLUGINS}/x399.dsplug/Contents/MacOS/x399");
    is_told_in_part(disk, flip, code);
}

#[test]
fn thousands_that_find_in_themselves_a_directory_that_stood_elsewhere_are_told_in_part() {
    let library = MachO::dylib(Cpu::X86_64).unsigned();
    is_told_in_part_found_in_itself(|disk, name| {
        Plugin::new(name)
            .file("Contents/d/a", library.clone())
            .write(disk.plugin(""));
        disk.link(
            format!("{PLUGINS}/{name}.dsplug/Contents/Frameworks"),
            format!("/{CURRENT}/{name}.dsplug/Contents/d"),
        );
        disk.file(format!("{}/{name}.dsplug/Contents/d/a", place(0)), &library);
    });
}

#[test]
fn thousands_that_find_in_themselves_what_stood_elsewhere_are_told_in_part() {
    let library = MachO::dylib(Cpu::X86_64).unsigned();
    is_told_in_part_found_in_itself(|disk, name| {
        let asked = format!("/{CURRENT}/{name}.dsplug/Contents/a");
        let code = MachO::bundle(Cpu::X86_64).dylib_path(&asked);
        Plugin::new(name)
            .executable(code.unsigned())
            .file("Contents/a", library.clone())
            .write(disk.plugin(""));
        disk.file(format!("{}/{name}.dsplug/Contents/a", place(0)), &library);
    });
}

/// A link in it, and code that asks for a library by the path that the link has below the bundle.
#[test]
fn what_two_ask_for_by_one_path_is_told_of_both() {
    let disk = Disk::new();
    let code = MachO::bundle(Cpu::X86_64).dylib_path("/Users/Shared/l");
    disk.file("Users/Shared/l", "library");
    let linked = disk.file("Users/Shared/p", MachO::dylib(Cpu::X86_64).unsigned());
    Plugin::new("V")
        .executable(code.unsigned())
        .write(disk.plugin(""));
    disk.link(
        format!("{PLUGINS}/V.dsplug/Users/Shared/l"),
        "/Users/Shared/p",
    );
    links_in_them_to_what_moves(&disk);
    links_to_what_moves(&disk, |_| ());
    let mut crowd = Crowd::begin(disk);
    moves(&crowd.disk, 1);
    settled(&mut crowd);
    fs::write(linked, MachO::dylib(Cpu::X86_64).code_len(6_000).unsigned()).unwrap();
    let events = settled(&mut crowd);
    assert!(
        events.iter().any(|e| e.path.ends_with("/V.dsplug")),
        "{events:#?}"
    );
}

/// Names are whoever's to choose: those that come first take the lines of nobody who waits.
#[test]
fn who_waits_longest_has_the_next_line() {
    let disk = Disk::new();
    let link = |disk: &Disk, group: &str, round: usize| {
        let at = format!("Users/Shared/{group}");
        let _ = fs::remove_file(disk.at(&at));
        disk.link(at, format!("/Users/Shared/{group}{round}"));
    };
    // One group of those that come first waits while the other moves; there are more than lines at once.
    let groups = [("a", AT_ONCE / 2 + 10), ("b", AT_ONCE / 2 + 10), ("zz", 1)];
    for (group, count) in groups {
        for number in 0..count {
            let name = format!("{group}{number}.dsplug");
            Plugin::new("X").write_as(disk.at(format!("Users/Shared/{group}0")).join(&name));
            disk.link(
                format!("{PLUGINS}/{name}"),
                format!("/Users/Shared/{group}/{name}"),
            );
        }
        link(&disk, group, 0);
    }
    let mut crowd = Crowd::begin(disk);
    let mut rounds = [0; 3];
    let mut moves = |crowd: &Crowd, which: usize| {
        let (group, _) = groups[which];
        let at = |round: usize| crowd.disk.at(format!("Users/Shared/{group}{round}"));
        fs::rename(at(rounds[which]), at(rounds[which] + 1)).unwrap();
        rounds[which] += 1;
        link(&crowd.disk, group, rounds[which]);
    };
    for which in [0, 1] {
        moves(&crowd, which);
        settled(&mut crowd);
    }
    moves(&crowd, 2);
    settled(&mut crowd);
    let mut told = Vec::new();
    // Before what was told is forgotten.
    for round in 0..90 {
        moves(&crowd, round % 2);
        told.extend(crowd.after(5_100));
        if told.iter().any(|e: &Event| e.path.ends_with("/zz0.dsplug")) {
            return;
        }
    }
    panic!("{} lines, and none of it", told.len());
}

/// What waits for a line holds what has passed of it, and takes no room of what does not wait.
#[test]
fn what_waits_takes_no_room_of_what_moves() {
    let disk = Disk::new();
    let outside = disk.file("Users/Shared/h", "0");
    for number in 0..MANY {
        Plugin::new(&format!("x{number}"))
            .key("CFBundleExecutable", "/Users/Shared/h")
            .write(disk.plugin(""));
    }
    Plugin::new("V").write(disk.plugin(""));
    let mut crowd = Crowd::begin(disk);
    for round in 1..10 {
        fs::write(&outside, round.to_string()).unwrap();
        settled(&mut crowd);
    }
    let own = crowd.disk.plugin("V.dsplug/Contents/MacOS/V");
    let codes = ["evil", "one", "two", "three", "four", "good"];
    let mut events = Vec::new();
    for code in codes {
        fs::write(&own, code).unwrap();
        events.extend(crowd.after(1));
        events.extend(crowd.after(270));
    }
    events.extend(settled(&mut crowd));
    for code in codes {
        let hash = sha256(code.as_bytes());
        let is_told = |e: &Event| e.state.executable_hash == *hash;
        assert!(events.iter().any(is_told), "{code}: {events:#?}");
    }
}
