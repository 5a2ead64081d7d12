//! The scripts for fleets, run as a fleet's runner runs them.

use crate::common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use dsplug::text::escape;
use dsplug_fixtures::{Disk, PLUGINS, Plugin, chmod, sparse};

use crate::pasted::NAMES;

/// Runs a script with the lines at its top filled in, over a disk that a wrapper names.
fn run(script: &str, lines: &[(&str, &str)], disk: &Disk, place: &Path) -> Output {
    command(script, lines, disk, place).output().unwrap()
}

fn command(script: &str, lines: &[(&str, &str)], disk: &Disk, place: &Path) -> Command {
    let wrapper = place.join("dsplug");
    let text = format!(
        "#!/bin/sh\ncase \"$1\" in quarantine|restore) set -- \"$@\" --yes-write-image ;; esac\n\
         exec '{}' \"$@\" --root '{}' --state-dir '{}/state'\n",
        env!("CARGO_BIN_EXE_dsplug"),
        disk.path().display(),
        place.display()
    );
    fs::write(&wrapper, text).unwrap();
    chmod(&wrapper, 0o755);
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("install/fleet")
        .join(script);
    let text = filled(&fs::read_to_string(source).unwrap(), lines);
    let filled = place.join(script);
    fs::write(&filled, text).unwrap();
    let mut call = Command::new("sh");
    call.arg(filled).env("DSPLUG", wrapper);
    call
}

/// A script with lines of its form filled in, as a person does it: what the alert shows, behind the `=`.
fn filled(script: &str, form: &[(&str, &str)]) -> String {
    let mut lines: Vec<String> = script.lines().map(str::to_owned).collect();
    for (name, value) in form {
        let begin = format!("{name}=");
        let line = lines.iter_mut().rfind(|line| line.starts_with(&begin));
        *line.unwrap() = format!("{begin}{value}");
    }
    lines.join("\n") + "\n"
}

#[track_caller]
fn ended(output: &Output, code: i32) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{error}");
    error
}

#[test]
fn collect_quarantine_restore() {
    let disk = Disk::new();
    let place = tempfile::tempdir().unwrap();
    // A name that a shell and SQL would trip over.
    let name = "It's $(id) \"odd\".dsplug";
    Plugin::new("X").write_as(disk.plugin(name));
    let path = format!("/{PLUGINS}/{name}");
    let hash = common::only_bundle(disk.path())["hash"].clone();
    let run = |script: &str, lines: &[(&str, &str)]| run(script, lines, &disk, place.path());

    let kept = place.path().join("collected");
    let kept = kept.to_str().unwrap();
    let lines = [("path", path.as_str()), ("expect", &hash), ("place", kept)];
    ended(&run("collect.sh", &lines), 0);
    let wrong = [("path", path.as_str()), ("expect", "00"), ("place", kept)];
    assert!(ended(&run("collect.sh", &wrong), 1).contains("is not what was expected"));
    ended(&run("collect.sh", &[("place", kept)]), 0);
    assert_eq!(fs::read_dir(kept).unwrap().count(), 3);

    assert!(ended(&run("quarantine.sh", &[]), 1).contains("fill in"));
    let wrong = [("path", path.as_str()), ("expect", "00")];
    assert!(ended(&run("quarantine.sh", &wrong), 1).contains("was left alone"));
    assert!(disk.plugin(name).exists());
    let right = [
        ("path", path.as_str()),
        ("expect", &hash),
        ("reason", "it's bad"),
    ];
    ended(&run("quarantine.sh", &right), 0);
    assert!(!disk.plugin(name).exists());
    // Where it is gone already.
    assert!(ended(&run("quarantine.sh", &right), 1).contains("no candidate stands"));

    assert!(
        ended(&run("restore.sh", &[("path", &path), ("expect", "00")]), 1).contains("holds no")
    );
    ended(&run("restore.sh", &[("path", &path), ("expect", &hash)]), 0);
    assert_eq!(common::only_bundle(disk.path())["hash"], hash);
}

/// Whoever was root there once has written entries of his own, with the path and the digest of the honest one.
#[test]
fn what_comes_back_is_what_was_expected_whatever_the_ledger_says() {
    let disk = Disk::new();
    let place = tempfile::tempdir().unwrap();
    Plugin::new("X").write(disk.plugin(""));
    disk.dir("Library/LaunchDaemons");
    let path = format!("/{PLUGINS}/X.dsplug");
    let hash = common::only_bundle(disk.path())["hash"].clone();
    let form = [("path", path.as_str()), ("expect", &hash)];
    ended(&run("quarantine.sh", &form, &disk, place.path()), 0);
    let state = place.path().join("state");
    let honest = fs::read_dir(state.join("ledger")).unwrap().next().unwrap();
    let honest = fs::read(honest.unwrap().path()).unwrap();
    let elsewhere = place.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    for (id, directory) in [
        ("1", format!("/{PLUGINS}")),
        ("2", "/Library/LaunchDaemons".into()),
        (
            &*format!("--to={}", elsewhere.display()).replace('/', "%"),
            format!("/{PLUGINS}"),
        ),
    ] {
        let mut entry: serde_json::Value = serde_json::from_slice(&honest).unwrap();
        entry["id"] = id.into();
        entry["time"] = (entry["time"].as_i64().unwrap() + 60).into();
        entry["from"]["directory"] = directory.into();
        entry["seen"] = serde_json::json!(
            {"kind": "file", "dev": 0, "ino": 0, "digest": "", "link": ""}
        );
        let file = state.join("ledger").join(format!("{id}.json"));
        fs::write(&file, entry.to_string()).unwrap();
        chmod(&file, 0o600);
        let folder = state.join("vault").join(id);
        fs::create_dir(&folder).unwrap();
        chmod(&folder, 0o700);
        fs::write(folder.join("item"), "evil").unwrap();
    }
    let output = run("restore.sh", &form, &disk, place.path());
    let error = ended(&output, 0);
    assert_eq!(common::only_bundle(disk.path())["hash"], hash, "{error}");
    let daemons = fs::read_dir(disk.at("Library/LaunchDaemons")).unwrap();
    assert_eq!(daemons.count(), 0, "{error}");
    assert!(error.contains("1 is not what was expected"), "{error}");
    assert!(!error.contains("--to="), "{error}");
}

/// It has the path and the digest of the honest one, and a later time.
#[test]
fn no_hole_that_was_planted_holds_up_what_comes_back() {
    let disk = Disk::new();
    let place = tempfile::tempdir().unwrap();
    Plugin::new("X").write(disk.plugin(""));
    let path = format!("/{PLUGINS}/X.dsplug");
    let hash = common::only_bundle(disk.path())["hash"].clone();
    let form = [("path", path.as_str()), ("expect", &hash)];
    ended(&run("quarantine.sh", &form, &disk, place.path()), 0);
    let state = place.path().join("state");
    let honest = fs::read_dir(state.join("ledger")).unwrap().next().unwrap();
    let mut entry: serde_json::Value =
        serde_json::from_slice(&fs::read(honest.unwrap().path()).unwrap()).unwrap();
    entry["id"] = "1".into();
    entry["time"] = (entry["time"].as_i64().unwrap() + 60).into();
    let file = state.join("ledger/1.json");
    fs::write(&file, entry.to_string()).unwrap();
    chmod(&file, 0o600);
    let folder = state.join("vault/1");
    fs::create_dir(&folder).unwrap();
    chmod(&folder, 0o700);
    Plugin::new("X").write_as(folder.join("item"));
    sparse(folder.join("item/Contents/hole"), b"", 15 << 40);
    let call = command("restore.sh", &form, &disk, place.path());
    let envs = call
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    let mut bounded = Command::new("timeout");
    let bounded = bounded.arg("40").arg(call.get_program());
    let bounded = bounded.args(call.get_args()).envs(envs);
    let error = ended(&bounded.output().unwrap(), 0);
    assert!(
        error.contains("1 is not known to be what was expected"),
        "{error}"
    );
    assert_eq!(common::only_bundle(disk.path())["hash"], hash);
}

/// Whoever is root there exchanges it as long as it is collected, and no longer.
#[test]
fn an_archive_of_something_else_is_never_what_was_expected() {
    let disk = Disk::new();
    let place = tempfile::tempdir().unwrap();
    let bundle = Plugin::new("X").write(disk.plugin(""));
    let code = bundle.join("Contents/code");
    fs::write(&code, "evil").unwrap();
    let path = format!("/{PLUGINS}/X.dsplug");
    let hash = common::only_bundle(disk.path())["hash"].clone();
    let kept = place.path().join("collected");
    let form = [
        ("path", path.as_str()),
        ("expect", &hash),
        ("place", kept.to_str().unwrap()),
    ];
    let mut call = command("collect.sh", &form, &disk, place.path());
    let swapping = place.path().join("swapping");
    let text = format!(
        "#!/bin/sh\n[ \"$1\" = collect ] || exec '{0}' \"$@\"\n\
         printf good > '{1}'\n'{0}' \"$@\"; status=$?\nprintf evil > '{1}'\nexit $status\n",
        place.path().join("dsplug").display(),
        code.display(),
    );
    fs::write(&swapping, text).unwrap();
    chmod(&swapping, 0o755);
    let output = call.env("DSPLUG", swapping).output().unwrap();
    let error = ended(&output, 1);
    assert_eq!(common::only_bundle(disk.path())["hash"], hash);
    assert!(error.contains("is not what was expected"), "{error}");
    assert_eq!(fs::read_dir(&kept).unwrap().count(), 1, "{error}");
}

/// Entries by the dozen, of which each is as large as one is read, come before the one that is asked for.
#[test]
fn a_ledger_that_is_cut_is_not_taken_for_one_without_it() {
    let disk = Disk::new();
    let place = tempfile::tempdir().unwrap();
    Plugin::new("X").write(disk.plugin(""));
    let path = format!("/{PLUGINS}/X.dsplug");
    let hash = common::only_bundle(disk.path())["hash"].clone();
    let form = [("path", path.as_str()), ("expect", &hash)];
    ended(&run("quarantine.sh", &form, &disk, place.path()), 0);
    let ledger = place.path().join("state/ledger");
    let honest = fs::read_dir(&ledger).unwrap().next().unwrap();
    let honest = fs::read(honest.unwrap().path()).unwrap();
    let plant = |id: &str, text: &str| {
        let file = ledger.join(format!("{id}.json"));
        fs::write(&file, text).unwrap();
        chmod(&file, 0o600);
        file
    };
    let restore = || run("restore.sh", &form, &disk, place.path());
    // One that nobody can read may be the one.
    let damaged = plant("00", "{");
    let other = [("path", path.as_str()), ("expect", "00")];
    let error = ended(&run("restore.sh", &other, &disk, place.path()), 1);
    assert!(error.contains("is not known"), "{error}");
    fs::remove_file(damaged).unwrap();
    let planted: Vec<_> = (0..45)
        .map(|number| {
            let mut entry: serde_json::Value = serde_json::from_slice(&honest).unwrap();
            let id = format!("00{number:03}");
            entry["id"] = id.as_str().into();
            entry["step"] = "restored".into();
            entry["path"] = "/x".into();
            entry["reason"] = "r".repeat(60_000).into();
            plant(&id, &entry.to_string())
        })
        .collect();
    let error = ended(&restore(), 1);
    assert!(!error.contains("holds no"), "{error}");
    assert!(error.contains("is not known"), "{error}");
    assert!(error.contains("entries are left out"), "{error}");
    for file in planted {
        fs::remove_file(file).unwrap();
    }
    // One that was interrupted, or set back, is settled first.
    let mut entry: serde_json::Value = serde_json::from_slice(&honest).unwrap();
    entry["step"] = "copying".into();
    let id = entry["id"].as_str().unwrap();
    plant(id, &entry.to_string());
    ended(&restore(), 0);
}

/// An entry that was written beforehand names another file as the evidence.
#[test]
fn what_is_uploaded_is_the_evidence_that_was_just_collected() {
    let disk = Disk::new();
    let place = tempfile::tempdir().unwrap();
    let path = format!("/{PLUGINS}/X.dsplug");
    Plugin::new("X").write(disk.plugin(""));
    let hash = common::only_bundle(disk.path())["hash"].clone();
    let form = [("path", path.as_str()), ("expect", &hash)];
    ended(&run("quarantine.sh", &form, &disk, place.path()), 0);
    let ledger = place.path().join("state/ledger");
    let honest = fs::read_dir(&ledger).unwrap().next().unwrap();
    let honest = fs::read(honest.unwrap().path()).unwrap();
    let mut entry: serde_json::Value = serde_json::from_slice(&honest).unwrap();
    entry["id"] = "9".into();
    entry["time"] = (entry["time"].as_i64().unwrap() + 3_600).into();
    entry["evidence"] = "/etc/passwd".into();
    let file = ledger.join("9.json");
    fs::write(&file, entry.to_string()).unwrap();
    chmod(&file, 0o600);
    Plugin::new("X").write(disk.plugin(""));
    let form = [form[0], form[1], ("upload", ADDRESS)];
    let call = command("quarantine.sh", &form, &disk, place.path());
    let (output, sent) = sending(call, place.path());
    let error = ended(&output, 0);
    let sent = sent.unwrap();
    assert!(sent.ends_with(".tar.gz"), "{sent}: {error}");
    assert!(Path::new(&sent).exists(), "{sent}: {error}");
}

/// A place for evidence.
const ADDRESS: &str = "https://evidence.example/put";

/// Runs a script where curl sends nothing, and says which file it would have sent to that address.
fn sending(mut call: Command, place: &Path) -> (Output, Option<String>) {
    let commands = place.join("commands");
    fs::create_dir(&commands).unwrap();
    let (curl, told) = (commands.join("curl"), place.join("told"));
    fs::write(&curl, "#!/bin/sh\nprintf '%s\\n' \"$@\" > \"$TOLD\"\n").unwrap();
    chmod(&curl, 0o755);
    let paths = std::env::var("PATH").unwrap();
    call.env("PATH", format!("{}:{paths}", commands.display()));
    let output = call.env("TOLD", &told).output().unwrap();
    let sent = fs::read_to_string(told).ok().map(|told| {
        let (_, sent) = told.split_once("--upload-file\n").unwrap();
        let (sent, address) = sent.split_once('\n').unwrap();
        assert_eq!(address.trim_end(), ADDRESS);
        sent.to_owned()
    });
    (output, sent)
}

/// It is in the vault, and what has loaded it could not be ended.
#[test]
fn the_evidence_is_sent_where_the_loader_goes_on() {
    let disk = Disk::new();
    let form = [
        ("path", "/Library/X.dsplug"),
        ("expect", "a7"),
        ("upload", ADDRESS),
    ];
    for (told, sent) in [
        (
            "quarantined a7\nevidence    /var/a b.tar.gz\n",
            Some("/var/a b.tar.gz"),
        ),
        ("", None),
    ] {
        let place = tempfile::tempdir().unwrap();
        let mut call = command("quarantine.sh", &form, &disk, place.path());
        let stub = place.path().join("stub");
        fs::write(&stub, format!("#!/bin/sh\nprintf '{told}'\nexit 3\n")).unwrap();
        chmod(&stub, 0o755);
        call.env("DSPLUG", stub);
        let (output, file) = sending(call, place.path());
        ended(&output, 3);
        assert_eq!(file.as_deref(), sent);
    }
}

/// What is pasted into the form is text, to its last blank.
#[test]
fn whatever_a_bundle_is_called_the_scripts_run_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let stub = place.path().join("dsplug");
    let told = "#!/bin/sh\nprintf '%s\\0' \"$@\" >> \"$TOLD\"\ncase $1 in query) printf 'id\\na7' ;; esac\n";
    fs::write(&stub, told).unwrap();
    chmod(&stub, 0o755);
    let mut names: Vec<String> = NAMES.iter().map(|name| escape(name)).collect();
    let more = [
        "a;touch pwned;.dsplug",
        "b'; touch pwned; '.dsplug",
        "c$(touch pwned).dsplug",
        "d) ;; esac; touch pwned; (.dsplug",
        "\u{101}\u{20ac}\u{65e5} *?[a-z] ~ \\c %s.dsplug \t",
        "END",
    ];
    names.extend(more.map(str::to_owned));
    for (script, command) in [
        ("collect.sh", "collect"),
        ("quarantine.sh", "quarantine"),
        ("restore.sh", "query"),
    ] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("install/fleet");
        let source = fs::read_to_string(source.join(script)).unwrap();
        for name in &names {
            let path = format!("/{PLUGINS}/{name} ");
            let kept = place.path().to_str().unwrap();
            let form = [("path", path.as_str()), ("expect", "a7"), ("place", kept)];
            let form = &form[..if script == "collect.sh" { 3 } else { 2 }];
            let inside = tempfile::tempdir().unwrap();
            let output = Command::new("sh")
                .args(["-c", &filled(&source, form)])
                .current_dir(inside.path())
                .env("DSPLUG", &stub)
                .env("TOLD", place.path().join("told"))
                .output()
                .unwrap();
            let told = fs::read_to_string(place.path().join("told")).unwrap_or_default();
            let _ = fs::remove_file(place.path().join("told"));
            assert!(output.status.success(), "{script} {path}: {output:?}");
            let words: Vec<&str> = told.split('\0').collect();
            assert_eq!(words[0], command, "{path}: {output:?}");
            match command {
                "query" => {
                    let path = path.replace('\'', "''");
                    assert!(words[3].contains(&format!("path = '{path}' AND")), "{told}");
                    let call = ["restore", "a7", "--expect", "a7", ""];
                    assert_eq!(&words[words.len() - 5..], call, "{told}");
                }
                _ => assert!(words.contains(&path.as_str()), "{told}"),
            }
            let left = fs::read_dir(inside.path()).unwrap().count();
            assert_eq!(left, 0, "{script} ran what {path} says");
        }
    }
}

/// The bash of a Mac (3.2) ends `$(` at the first bracket, in a here document too.
#[test]
fn no_script_reads_text_within_a_substitution() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("install");
    for entry in walkdir::WalkDir::new(top) {
        let entry = entry.unwrap();
        let Ok(text) = fs::read_to_string(entry.path()) else {
            continue;
        };
        let code = text.lines().filter(|line| !line.starts_with('#'));
        let found: Vec<&str> = code
            .filter(|line| {
                line.split_once("$(")
                    .is_some_and(|(_, rest)| rest.contains("<<"))
            })
            .collect();
        assert!(found.is_empty(), "{}: {found:?}", entry.path().display());
    }
}

/// The `echo` of many a `sh`, that of a Mac too, makes of `\\033` in its text what moves a terminal.
#[test]
fn what_the_scripts_say_of_a_path_is_what_was_pasted() {
    let disk = Disk::new();
    Plugin::new("X").write(disk.plugin(""));
    let place = tempfile::tempdir().unwrap();
    let kept = place.path().join("collected");
    for script in ["collect.sh", "quarantine.sh", "restore.sh"] {
        // What begins with no / is told by the script itself.
        let path = "F\\033]0;own\\007\\n\\c.dsplug";
        let form = [("path", path), ("place", kept.to_str().unwrap())];
        let form = &form[..if script == "collect.sh" { 2 } else { 1 }];
        let error = ended(&run(script, form, &disk, place.path()), 1);
        let told = format!("dsplug: path begins with a / and has no quotes, not: {path}\n");
        assert_eq!(error, told, "{script}");
    }
}

/// What varies is printed by `printf`, which takes its text as it is.
#[test]
fn no_script_echoes_what_varies() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("install");
    for entry in walkdir::WalkDir::new(top) {
        let entry = entry.unwrap();
        // clap writes the completions, for shells whose echo takes text as it is.
        if entry
            .path()
            .components()
            .any(|part| part.as_os_str() == "completions")
        {
            continue;
        }
        let Ok(text) = fs::read_to_string(entry.path()) else {
            continue;
        };
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'));
        let found: Vec<&str> = code
            .flat_map(|line| line.split("echo ").skip(1))
            .filter(|said| {
                let end = said.find([';', '|', '}']).unwrap_or(said.len());
                said[..end].contains('$')
            })
            .collect();
        assert!(found.is_empty(), "{}: {found:?}", entry.path().display());
    }
}

/// A person who quotes a path after all, or breaks a line, is told.
#[test]
fn what_is_no_form_is_refused() {
    let disk = Disk::new();
    let place = tempfile::tempdir().unwrap();
    for script in ["collect.sh", "quarantine.sh", "restore.sh"] {
        for (path, why) in [
            ("'/Library/x'", "begins with a /"),
            (" /Library/x", "begins with a /"),
            ("/Library/x\ny", "no line of the form: y"),
        ] {
            let output = run(
                script,
                &[("path", path), ("expect", "a7")],
                &disk,
                place.path(),
            );
            let error = ended(&output, 1);
            assert!(error.contains(why), "{script}: {error}");
        }
    }
}

/// No table of dsplug shows a line break; other tables do.
#[test]
fn what_stands_behind_a_form_is_never_read() {
    let disk = Disk::new();
    for script in ["collect.sh", "quarantine.sh", "restore.sh"] {
        let place = tempfile::tempdir().unwrap();
        let kept = place.path().join("kept");
        let pwned = place.path().join("pwned");
        let path = format!(
            "/Library/x\nEND\ntouch '{0}'\nexec touch '{0}'",
            pwned.display()
        );
        let form = [
            ("path", &*path),
            ("expect", "a7"),
            ("place", kept.to_str().unwrap()),
        ];
        let form = &form[..if script == "collect.sh" { 3 } else { 2 }];
        ended(&run(script, form, &disk, place.path()), 1);
        assert!(!pwned.exists(), "{script}");
    }
}

/// Whoever owns a Mac names it.
#[test]
fn no_name_of_a_host_leads_out_of_the_place() {
    let disk = Disk::new();
    Plugin::new("X").write(disk.plugin(""));
    let place = tempfile::tempdir().unwrap();
    let kept = place.path().join("collected");
    let commands = place.path().join("commands");
    fs::create_dir(&commands).unwrap();
    let hostname = commands.join("hostname");
    fs::write(&hostname, "#!/bin/sh\necho '/../../ev il$(id)'\n").unwrap();
    chmod(&hostname, 0o755);
    let lines = [("place", kept.to_str().unwrap())];
    let mut call = command("collect.sh", &lines, &disk, place.path());
    let path = std::env::var("PATH").unwrap();
    call.env("PATH", format!("{}:{path}", commands.display()));
    ended(&call.output().unwrap(), 0);
    let names: Vec<_> = fs::read_dir(&kept).unwrap().collect();
    assert_eq!(names.len(), 1);
    let name = names[0].as_ref().unwrap().file_name();
    let name = name.to_str().unwrap();
    assert!(name.starts_with("dsplug-evilid-2"), "{name}");
}

/// Each is pasted into a runner by itself, so that what they share stands in each.
#[test]
fn what_the_scripts_share_is_the_same() {
    let shared = |script: &str| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("install/fleet");
        let text = fs::read_to_string(source.join(script)).unwrap();
        let (_, rest) = text.split_once("\nfail() {").unwrap();
        let (shared, _) = rest.split_once("\nmain() {").unwrap();
        shared.to_owned()
    };
    let of_one = shared("quarantine.sh");
    assert!(of_one.contains("find_dsplug()"));
    assert_eq!(shared("collect.sh"), of_one);
    let of_one_that_asks = shared("restore.sh");
    assert!(of_one_that_asks.starts_with(&of_one), "{of_one_that_asks}");
}

#[test]
fn a_mac_without_dsplug_is_told() {
    if Path::new("/opt/dsplug/bin/dsplug.ext").exists() {
        return dsplug_fixtures::skipped("dsplug is installed here");
    }
    for script in ["collect.sh", "quarantine.sh", "restore.sh"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("install/fleet")
            .join(script);
        let output = Command::new("sh").arg(source).env_remove("DSPLUG").output();
        let error = ended(&output.unwrap(), 1);
        assert!(error.contains("not installed"), "{script}: {error}");
    }
}
