//! Killed at every step, and steps that fail.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dsplug_fixtures::needs_root;

use super::mac::{Mac, Tree, assert_same, refused, source, succeed};

/// Runs with a kill after every number of steps until one run comes to its end.
/// After each kill, `mend` puts things right and says what must then be so.
fn killed_everywhere(
    world: impl Fn() -> Mac,
    run: impl Fn(&Mac) -> Command,
    mend: impl Fn(&Mac, usize),
) -> usize {
    for steps in 0.. {
        let mac = world();
        let output = run(&mac)
            .env("DSPLUG_INSTALL_STOP_AFTER", steps.to_string())
            .output()
            .unwrap();
        if output.status.success() {
            return steps;
        }
        assert_eq!(
            output.status.signal(),
            Some(9),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        mend(&mac, steps);
    }
    0
}

#[test]
fn killed_while_installing_a_second_run_mends_it() {
    let world = Mac::with_admin();
    let before = world.tree();
    let finished = world.twin();
    finished.install();
    let expected = finished.tree();
    let steps = killed_everywhere(
        || world.twin(),
        |mac| mac.installer(&[]),
        |mac, steps| {
            // Either script mends what the other left.
            if steps % 2 == 0 {
                mac.install();
                assert_same(&mac.tree(), &expected);
            } else {
                mac.uninstall();
                assert_same(&mac.tree(), &before);
            }
        },
    );
    assert!(steps > 50, "only {steps} steps were seen");
}

#[test]
fn killed_while_updating_a_second_run_mends_it() {
    let world = Mac::with_admin();
    let before = world.tree();
    world.install();
    world.aside("dsplug.ext", "the second binary");
    world.aside("dsplug.conf", "{\"queries\": {\"new\": {}}}\n");
    let finished = world.twin();
    finished.install();
    let expected = finished.tree();
    killed_everywhere(
        || world.twin(),
        |mac| mac.installer(&[]),
        |mac, steps| {
            // osqueryd never sees a half-written binary.
            let binary = mac.read("opt/dsplug/bin/dsplug.ext");
            assert!(
                binary == "the first binary" || binary == "the second binary",
                "{binary}"
            );
            if steps % 2 == 0 {
                mac.install();
                assert_same(&mac.tree(), &expected);
            } else {
                mac.uninstall();
                assert_same(&mac.tree(), &before);
            }
        },
    );
}

#[test]
fn killed_while_uninstalling_a_second_run_mends_it() {
    let world = Mac::with_admin();
    let before = world.tree();
    world.install();
    let without_receipts = |mut tree: Tree| {
        tree.retain(|path, _| !path.starts_with("var/db/dsplug"));
        tree
    };
    let installed = without_receipts(world.tree());
    killed_everywhere(
        || world.twin(),
        |mac| mac.uninstaller(&[]),
        |mac, steps| {
            if steps % 2 == 0 {
                mac.install();
                assert_same(&without_receipts(mac.tree()), &installed);
            }
            mac.uninstall();
            assert_same(&mac.tree(), &before);
        },
    );
}

#[test]
fn killed_while_undoing_a_third_run_mends_it() {
    let world = Mac::with_admin();
    let before = world.tree();
    // Killed late in the installation, and then again at each step of the undoing.
    let output = world
        .installer(&[])
        .env("DSPLUG_INSTALL_STOP_AFTER", "55")
        .output()
        .unwrap();
    assert_eq!(output.status.signal(), Some(9));
    killed_everywhere(
        || world.twin(),
        |mac| mac.uninstaller(&[]),
        |mac, _| {
            mac.uninstall();
            assert_same(&mac.tree(), &before);
        },
    );
}

#[test]
fn a_step_that_fails_leaves_what_was_there() {
    for file in [
        "osquery.flags",
        "extensions.load",
        "dsplug.ext",
        "packs/dsplug.conf",
    ] {
        let mac = Mac::with_admin();
        let real = succeed(
            Command::new("sh")
                .args(["-c", "command -v mv"])
                .output()
                .unwrap(),
        );
        // The disk is full, or read-only, just when this file is put in its place.
        let marker = mac.aside.path().join("failed");
        mac.shim(
            "mv",
            &format!(
                "case $* in *dsplug.new*/{file}) [ -e '{0}' ] || {{ : > '{0}'; exit 1; }} ;; esac\nexec {1} \"$@\"",
                marker.display(),
                real.trim()
            ),
        );
        let command = mac.installer(&[]);
        refused(&mac, command, "everything is as it was before");
        assert!(marker.exists(), "{file} was never reached");
    }
}

/// What a run was about to touch is known from its journal: the flags may name other files when it is undone.
#[test]
fn killed_while_installing_it_is_undone_though_the_flags_changed_since() {
    const FLAGS: &str = "var/osquery/osquery.flags";
    let world = Mac::new();
    world.write("etc/other/.keep", "");
    world.write("etc/o2/.keep", "");
    world.write(
        FLAGS,
        "--config_path=/etc/o2/a.conf\n--extensions_autoload=/etc/o2/deep/x/e.load\n",
    );
    let changed = "--config_path=/etc/other/b.conf\n";
    let twin = world.twin();
    twin.write(FLAGS, changed);
    let without = twin.tree();
    twin.install();
    let with = twin.tree();
    let steps = killed_everywhere(
        || world.twin(),
        |mac| mac.installer(&[]),
        |mac, steps| {
            mac.write(FLAGS, changed);
            if steps % 3 != 0 || !mac.path("var/db/dsplug/journal").exists() {
                return;
            }
            // Its undoing is killed as well, and taken up by the next.
            let mut run = mac.uninstaller(&[]);
            let run = run.env("DSPLUG_INSTALL_STOP_AFTER", (steps % 40).to_string());
            run.output().unwrap();
            if steps % 2 == 0 {
                mac.install();
                assert_same(&mac.tree(), &with);
            }
            mac.uninstall();
            assert_same(&mac.tree(), &without);
        },
    );
    assert!(steps > 50, "only {steps} steps were seen");
}

const LOCK: &str = "var/db/dsplug/lock";

/// A process whose command line names the installer, until its input ends.
fn like_the_installer(uid: Option<u32>) -> Child {
    let mut other = Command::new("sh");
    other.args(["-c", "read line; : install", "/install.sh"]);
    if let Some(uid) = uid {
        other.uid(uid).current_dir("/");
    }
    other.stdin(Stdio::piped()).spawn().unwrap()
}

/// A Mac on which an update was killed half done, and that update's lock.
fn killed_while_updating() -> (Mac, String) {
    let mac = Mac::with_admin();
    mac.install();
    mac.aside("dsplug.ext", "the second binary");
    let mut run = mac.installer(&[]);
    let run = run.env("DSPLUG_INSTALL_STOP_AFTER", "7").output().unwrap();
    assert_eq!(run.status.signal(), Some(9));
    assert!(mac.path("var/db/dsplug/journal").exists());
    let lock = mac.read(LOCK);
    (mac, lock)
}

/// Whoever is no root waits for its number, and calls himself so.
#[test]
fn no_process_of_another_user_holds_the_lock_of_a_killed_run() {
    if !needs_root("a process of another user is started") {
        return;
    }
    let (mac, _) = killed_while_updating();
    let mut other = like_the_installer(Some(65_534));
    // As an older installer wrote it.
    mac.write(LOCK, &format!("{}\n", other.id()));
    mac.install();
    assert_eq!(mac.read("opt/dsplug/bin/dsplug.ext"), "the second binary");
    other.kill().unwrap();
    other.wait().unwrap();
}

/// Such as a program that runs as root for whoever calls it, by any name.
#[test]
fn no_process_that_began_later_holds_the_lock_of_a_killed_run() {
    let (mac, lock) = killed_while_updating();
    let mut other = like_the_installer(None);
    let (_, began) = lock.split_once('\n').unwrap();
    mac.write(LOCK, &format!("{}\n{began}", other.id()));
    mac.uninstall();
    assert!(!mac.path("opt/dsplug").exists());
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn a_run_that_is_under_way_holds_its_lock() {
    let mac = Mac::new();
    let (begun, go) = (mac.aside.path().join("begun"), mac.aside.path().join("go"));
    mac.shim(
        "codesign",
        &format!(
            ": > '{}'; n=0; while [ ! -e '{}' ] && [ $n -lt 200 ]; do n=$((n+1)); sleep 0.1; done",
            begun.display(),
            go.display()
        ),
    );
    let mut first = mac.installer(&[]);
    let first = first
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while !begun.exists() {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(20));
    }
    // Neither zone nor language of who runs it has a part in that.
    for run in [mac.installer(&[]), mac.uninstaller(&[])] {
        let mut run = run;
        run.env("TZ", "Asia/Tokyo").env("LC_ALL", "C.UTF-8");
        refused(
            &mac,
            run,
            &format!("another run ({}) is under way", first.id()),
        );
    }
    std::fs::write(go, "").unwrap();
    succeed(first.wait_with_output().unwrap());
    mac.uninstall();
}

/// What an uninstaller needs goes last, and by what is not known any more nothing is taken away later.
#[test]
fn whoever_finds_no_uninstaller_finds_no_receipts() {
    let world = Mac::with_admin();
    let without_state = |mut tree: Tree| {
        tree.retain(|path, _| !path.starts_with("var/db/dsplug"));
        tree
    };
    let before = world.tree();
    world.install();
    let uninstaller = "opt/dsplug/share/install/uninstall.sh";
    killed_everywhere(
        || world.twin(),
        |mac| mac.command(&mac.path(uninstaller), &[]),
        |mac, _| {
            let is_there = mac.path(uninstaller).exists();
            assert!(is_there || !mac.path("var/db/dsplug/receipts").exists());
            let fleet = mac.command(&source("fleet/uninstall.sh"), &[]).output();
            let said = succeed(fleet.unwrap());
            assert_eq!(said == "dsplug is not installed\n", !is_there, "{said}");
            assert!(!mac.path("var/db/dsplug/receipts").exists(), "{said}");
            assert_same(&without_state(mac.tree()), &before);
            // osqueryd is restarted by the call that finds the rest alone, too.
            assert!(!is_there || said.contains("remove "), "{said}");
        },
    );
}
