//! Killed at every step, and steps that fail.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use super::mac::{Mac, Tree, assert_same, refused, succeed};

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
