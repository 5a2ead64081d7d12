//! `dsplug doctor` over a pretended Mac: a sound one has no finding, and each planted fault is named.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod flags;
mod pack;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use dsplug::doctor::{self, Agent, Finding, Host, Registry, Severity};
use dsplug::root::Root;
use dsplug_fixtures::{needs_root, safe_umask};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::pack::text;

const BINARY: &str = "opt/dsplug/bin/dsplug.ext";
const FLAGS: &str = "var/osquery/osquery.flags";
const LOAD: &str = "var/osquery/extensions.load";
const SOCKET: &str = "var/osquery/osquery.em";
const FOLDER: &str = "Library/DirectoryServices/PlugIns";
const EXCEPTIONS: &str = "Library/Application Support/dsplug/exceptions.plist";

/// An osqueryd with these extensions, or one that gives no answer.
struct Answers(Result<Vec<&'static str>, &'static str>);

impl Registry for Answers {
    fn extensions(&self, _: &Path) -> Result<Vec<String>, String> {
        match &self.0 {
            Ok(names) => Ok(names.iter().map(|name| (*name).to_owned()).collect()),
            Err(why) => Err((*why).to_owned()),
        }
    }
}

struct Mac {
    disk: TempDir,
    _listener: UnixListener,
    answers: Answers,
}

impl Mac {
    /// A Mac on which dsplug was installed as install.sh does it, and runs.
    fn sound() -> Self {
        safe_umask();
        let disk = tempfile::tempdir().unwrap();
        let root = disk.path();
        for folder in [
            "opt/dsplug/bin",
            "opt/osquery/lib/osquery.app",
            "var/osquery/packs",
            "var/osquery/osquery.conf.d",
            FOLDER,
            "Library/Application Support/dsplug",
        ] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(root.join(BINARY), [0xCA, 0xFE, 0xBA, 0xBE, 0, 0, 0, 2]).unwrap();
        // As large as the universal binary of a release.
        let binary = fs::File::options().write(true).open(root.join(BINARY));
        binary.unwrap().set_len(9_000_000).unwrap();
        fs::set_permissions(root.join(BINARY), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(root.join(LOAD), "# ours\n/opt/dsplug/bin/dsplug.ext\n").unwrap();
        fs::write(
            root.join(FLAGS),
            "--extensions_require=other,dsplug\n--extensions_timeout=10\n",
        )
        .unwrap();
        fs::write(
            root.join("var/osquery/osquery.conf"),
            "// a comment\n{\"options\": {}}\n",
        )
        .unwrap();
        fs::write(
            root.join("var/osquery/osquery.conf.d/dsplug.conf"),
            "{\"packs\": {\"dsplug\": \"/var/osquery/packs/dsplug.conf\"}}",
        )
        .unwrap();
        fs::write(
            root.join("var/osquery/packs/dsplug.conf"),
            text("packs/dsplug.conf"),
        )
        .unwrap();
        // Only root can make a file of exceptions that counts.
        if disk.path().metadata().unwrap().uid() == 0 {
            let none = "<dict><key>Exceptions</key><array/></dict>";
            let plist = format!("<?xml version=\"1.0\"?><plist version=\"1.0\">{none}</plist>");
            fs::write(root.join(EXCEPTIONS), plist).unwrap();
        }
        let listener = UnixListener::bind(root.join(SOCKET)).unwrap();
        Self {
            disk,
            _listener: listener,
            answers: Answers(Ok(vec!["core", "dsplug"])),
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.disk.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap();
    }

    fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn examine(&self) -> Vec<Finding> {
        self.examine_as(None)
    }

    fn examine_as(&self, agent: Option<Agent>) -> Vec<Finding> {
        let root = Root::open(self.disk.path()).unwrap();
        doctor::examine(&Host {
            root: &root,
            mount: self.disk.path(),
            is_image: false,
            owner: self.disk.path().metadata().unwrap().uid(),
            agent,
            socket: None,
            registry: Some(&self.answers),
        })
    }
}

/// The pack that is installed.
fn pack() -> Value {
    serde_json::from_str(&text("packs/dsplug.conf")).unwrap()
}

/// Plants a fault in a sound Mac: the doctor finds it, alone, and its cure is one line.
#[track_caller]
fn finds(severity: Severity, what: &str, plant: impl FnOnce(&mut Mac)) {
    let mut mac = Mac::sound();
    plant(&mut mac);
    let findings = mac.examine();
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].severity, severity, "{findings:#?}");
    assert!(findings[0].what.contains(what), "{findings:#?}");
    assert!(
        !findings[0].cure.to_string().is_empty() && !findings[0].cure.to_string().contains('\n'),
        "{findings:#?}"
    );
}

#[track_caller]
fn finds_wrong(what: &str, plant: impl FnOnce(&mut Mac)) {
    finds(Severity::Wrong, what, plant);
}

#[test]
fn nothing_is_wrong_with_a_sound_mac() {
    assert_eq!(Mac::sound().examine(), []);
}

#[test]
fn binary_missing() {
    finds_wrong("dsplug.ext: there is no such file", |mac| {
        fs::remove_file(mac.path(BINARY)).unwrap()
    });
}

#[test]
fn binary_not_executable() {
    finds_wrong("not executable (mode 0644)", |mac| mac.mode(BINARY, 0o644));
}

#[test]
fn binary_writable_by_everyone() {
    finds_wrong("dsplug.ext: writable by everyone (mode 0757)", |mac| {
        mac.mode(BINARY, 0o757)
    });
}

#[test]
fn binary_cut_short() {
    finds_wrong("not a Mach-O", |mac| mac.write(BINARY, ""));
}

#[test]
fn binary_is_a_directory() {
    finds_wrong("a directory, not a file", |mac| {
        fs::remove_file(mac.path(BINARY)).unwrap();
        fs::create_dir(mac.path(BINARY)).unwrap();
    });
}

#[test]
fn ancestor_writable() {
    finds_wrong("/opt/dsplug: writable by everyone", |mac| {
        mac.mode("opt/dsplug", 0o777)
    });
}

#[test]
fn ancestor_behind_a_link_writable() {
    finds_wrong("/elsewhere/dsplug: writable by everyone", |mac| {
        fs::create_dir(mac.path("elsewhere")).unwrap();
        fs::rename(mac.path("opt/dsplug"), mac.path("elsewhere/dsplug")).unwrap();
        std::os::unix::fs::symlink("/elsewhere/dsplug", mac.path("opt/dsplug")).unwrap();
        mac.mode("elsewhere/dsplug", 0o777);
    });
}

#[test]
fn owners_and_groups() {
    if !needs_root("giving a file away needs root") {
        return;
    }
    let give = |path: &'static str, uid, gid| {
        move |mac: &mut Mac| std::os::unix::fs::chown(mac.path(path), Some(uid), Some(gid)).unwrap()
    };
    finds_wrong("dsplug.ext: belongs to uid 501", give(BINARY, 501, 0));
    finds_wrong("/opt: belongs to uid 501", give("opt", 501, 80));
    finds_wrong(
        "exceptions.plist: belongs to uid 501",
        give(EXCEPTIONS, 501, 20),
    );
    finds_wrong("/opt/dsplug/bin: writable by group 80 (mode 0775)", |mac| {
        give("opt/dsplug/bin", 0, 80)(mac);
        mac.mode("opt/dsplug/bin", 0o775);
    });
}

#[test]
fn name_without_ext() {
    finds_wrong("does not end in .ext", |mac| {
        fs::rename(mac.path(BINARY), mac.path("opt/dsplug/bin/dsplug")).unwrap();
        mac.write(LOAD, "/opt/dsplug/bin/dsplug\n");
    });
}

#[test]
fn load_without_a_line() {
    finds_wrong("has no line for dsplug", |mac| {
        mac.write(LOAD, "# /opt/dsplug/bin/dsplug.ext\n")
    });
    finds_wrong("has no line for dsplug", |mac| {
        fs::remove_file(mac.path(LOAD)).unwrap()
    });
}

#[test]
fn load_with_two_lines() {
    finds_wrong("names dsplug 2 times", |mac| {
        let other = "opt/dsplug/bin/dsplug.old.ext";
        fs::copy(mac.path(BINARY), mac.path(other)).unwrap();
        mac.write(LOAD, &format!("/{BINARY}\n/{other}\n"));
    });
}

/// `loadExtensions` of osquery's extensions.cpp: a directory is expanded, and what is found goes into
/// a set.
#[test]
fn load_as_osquery_reads_it() {
    for load in [
        "/opt/dsplug/bin/dsplug.ext\n/opt/dsplug/bin/dsplug.ext\n",
        "\n  /opt/dsplug/bin \n",
        "/opt/\n/opt/dsplug/bin/dsplug.ext",
    ] {
        let mac = Mac::sound();
        mac.write(LOAD, load);
        assert_eq!(mac.examine(), [], "{load:?}");
    }
}

/// Whoever fills what osqueryd reads, by lines, names or links, has `doctor` neither run for hours nor say thousands of lines,
/// and what it did not look at is told.
#[test]
fn what_is_filled_is_read_to_a_bound_and_told() {
    let says = |what: &str, plant: &dyn Fn(&Mac)| {
        let mac = Mac::sound();
        plant(&mac);
        let findings = mac.examine();
        let found = findings.iter().any(|f| f.what.contains(what));
        assert!(found && findings.len() < 60, "{what}: {findings:#?}");
    };
    let ours = format!("/{BINARY}\n");
    says("hold more than 20000 names", &|mac| {
        for n in 0..30 {
            for m in 0..700 {
                fs::create_dir_all(mac.path(&format!("opt/full/{n}/{m}"))).unwrap();
            }
        }
        let full = "/opt/full\n/opt/full/\n".repeat(200);
        mac.write(LOAD, &format!("{ours}{full}"));
    });
    says("names dsplug 20000 times", &|mac| {
        let many: String = (0..20_000).map(|n| format!("/x/dsplug.{n}\n")).collect();
        mac.write(LOAD, &many);
    });
    says("extensions.load: File too large", &|mac| {
        mac.write(LOAD, &"dsplug\n".repeat(200_000));
    });
    says("osquery.flags: File too large", &|mac| {
        mac.write(FLAGS, &"-a\n".repeat(400_000));
    });
    says("the time for drop-ins is spent", &|mac| {
        let folder = mac.path("var/osquery/osquery.conf.d");
        let list = format!("{{\"a\": [1{}]}}", ",1".repeat(1_900_000));
        fs::write(folder.join("e0.conf"), list).unwrap();
        for n in 1..900 {
            fs::hard_link(folder.join("e0.conf"), folder.join(format!("e{n}.conf"))).unwrap();
        }
    });
    let mac = Mac::sound();
    let flags = "--extensions_require=dsplug\n--extensions_timeout=10\n";
    mac.write(FLAGS, &format!("{flags}{}", "-a\n".repeat(300_000)));
    assert_eq!(mac.examine(), []);
}

/// Legitimate files of other people: large ones, comments, lines that are joined, packs written out.
#[test]
fn configurations_of_others_are_not_judged() {
    let mac = Mac::sound();
    let drop_in =
        |name: &str, text: &str| mac.write(&format!("var/osquery/osquery.conf.d/{name}"), text);
    drop_in(
        "a.conf",
        "# of ours\n{\"packs\": {\"a\": {\"queries\": {\"q\": {\"query\": \"SELECT 1 \\\n FROM time\", \"interval\": 1.5}}}, \"b\": [1, null, true, -2]}}",
    );
    // A pack has no bound but that of what osquery reads of a file, and may have queries of others.
    let long = Value::from("x".repeat(9_000_000));
    let mut pack = pack();
    pack["queries"]["q"]["query"] = long;
    mac.write("var/osquery/packs/dsplug.conf", &pack.to_string());
    mac.write(FLAGS, "--extensions_require=dsplug\n--extensions_timeout=10\n--disable_extensions\n--nodisable_extensions\n");
    assert_eq!(mac.examine(), []);
}

/// `Config::updateSource` of osquery's config.cpp.
#[test]
fn a_configuration_that_osqueryd_does_not_take_for_its_size() {
    let long = format!("{{\"views\": {{\"v\": \"{}\"}}}}", "x".repeat(4 << 20));
    finds_wrong("b.conf: more than 4194304 bytes", |mac| {
        mac.write("var/osquery/osquery.conf.d/b.conf", &long);
    });
    // Comments do not count.
    let mac = Mac::sound();
    let comment = format!("# {}\n{{}}", "x".repeat(4 << 20));
    mac.write("var/osquery/osquery.conf.d/b.conf", &comment);
    assert_eq!(mac.examine(), []);
}

#[test]
fn where_nothing_runs_osqueryd_that_alone_is_said() {
    let mac = Mac::sound();
    for path in ["opt", "var"] {
        fs::remove_dir_all(mac.path(path)).unwrap();
    }
    let findings = mac.examine();
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert!(
        findings[0].what.contains("neither osquery nor Fleet"),
        "{findings:#?}"
    );
    fs::remove_dir_all(mac.path("Library")).unwrap();
    let findings = mac.examine();
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert!(
        findings[0].what.contains("not the / of a Mac"),
        "{findings:#?}"
    );
}

/// On a disk at rest nobody listens, and what stands in the socket's place is not touched.
#[test]
fn a_disk_at_rest_is_examined_without_its_osqueryd() {
    if !needs_root("the command wants root's files") {
        return;
    }
    let mac = Mac::sound();
    fs::remove_file(mac.path(SOCKET)).unwrap();
    let doctor = |more: &[&str]| {
        let mut call = Command::new(env!("CARGO_BIN_EXE_dsplug"));
        let call = call.args(["doctor", "--root"]).arg(mac.disk.path());
        call.args(more).output().unwrap()
    };
    let output = doctor(&[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(output.stdout, b"nothing is wrong\n");
    mac.mode(BINARY, 0o644);
    let output = doctor(&["--format", "json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(findings.as_array().unwrap().len(), 1, "{findings}");
    assert_eq!(findings[0]["severity"], "wrong");
    assert!(
        findings[0]["what"]
            .as_str()
            .unwrap()
            .contains("not executable")
    );
    assert_eq!(findings[0]["cure"], "let root run it");
}

#[test]
fn load_with_a_wrong_path() {
    finds_wrong("/usr/local/bin/dsplug.ext: there is no such file", |mac| {
        mac.write(LOAD, "/usr/local/bin/dsplug.ext\n");
    });
}

#[test]
fn load_writable() {
    finds_wrong("extensions.load: writable by everyone", |mac| {
        mac.mode(LOAD, 0o666)
    });
}

#[test]
fn options_that_silence_the_tables() {
    let config = |options: &str| {
        let config = format!("{{\"options\": {options}}}");
        move |mac: &mut Mac| mac.write("var/osquery/osquery.conf", &config)
    };
    for yes in ["true", "\"True\"", "1"] {
        finds_wrong(
            "osquery.conf: the option disable_logging is set",
            config(&format!("{{\"disable_logging\": {yes}}}")),
        );
    }
    for seconds in ["1", "\"60\""] {
        finds_wrong(
            "osquery.conf: the option schedule_timeout is set",
            config(&format!("{{\"schedule_timeout\": {seconds}}}")),
        );
    }
    for option in [
        "\"disable_extensions\": true",
        "\"disable_tables\": \"dsplug_events\"",
    ] {
        finds(
            Severity::Note,
            "osqueryd takes it from its flags alone",
            config(&format!("{{{option}}}")),
        );
    }
    for options in [
        "7",
        "{\"disable_logging\": false, \"disable_tables\": \"time\", \"schedule_timeout\": 0}",
    ] {
        let mac = &mut Mac::sound();
        config(options)(mac);
        assert_eq!(mac.examine(), []);
    }
}

#[test]
fn configuration_missing_or_damaged() {
    finds_wrong("osquery.conf: there is no such file", |mac| {
        fs::remove_file(mac.path("var/osquery/osquery.conf")).unwrap();
    });
    finds_wrong("osquery.conf: not JSON", |mac| {
        mac.write("var/osquery/osquery.conf", "{ options }")
    });
}

#[test]
fn a_configuration_from_a_server_is_not_judged() {
    finds(
        Severity::Note,
        "takes its configuration from 'tls'",
        |mac| {
            mac.write(
                FLAGS,
                "--config_plugin=tls\n--extensions_require=dsplug\n--extensions_timeout=10\n",
            );
            fs::remove_dir_all(mac.path("var/osquery/packs")).unwrap();
        },
    );
}

#[test]
fn socket_missing_or_no_socket() {
    finds_wrong("there is no socket", |mac| {
        fs::remove_file(mac.path(SOCKET)).unwrap()
    });
    finds_wrong("a file, not a socket", |mac| {
        fs::remove_file(mac.path(SOCKET)).unwrap();
        mac.write(SOCKET, "");
    });
}

#[test]
fn not_registered_or_no_answer() {
    finds_wrong("dsplug is not registered", |mac| {
        mac.answers = Answers(Ok(vec!["core", "other"]))
    });
    finds_wrong("does not answer: timed out", |mac| {
        mac.answers = Answers(Err("timed out"))
    });
}

#[test]
fn exceptions_malformed_or_writable() {
    if !needs_root("the file must be root's") {
        return;
    }
    finds_wrong(
        "exceptions.plist: it excepts nothing: not a property list",
        |mac| mac.write(EXCEPTIONS, "<plist><dict>"),
    );
    finds_wrong("exceptions.plist: writable by everyone", |mac| {
        mac.mode(EXCEPTIONS, 0o646)
    });
}

#[test]
fn exceptions_not_understood_or_expired() {
    if !needs_root("the file must be root's") {
        return;
    }
    let list = |entry: &str| {
        let head =
            "<?xml version=\"1.0\"?><plist version=\"1.0\"><dict><key>Exceptions</key><array>";
        format!("{head}<dict>{entry}</dict></array></dict></plist>")
    };
    let path = "<key>id</key><string>a</string><key>path</key><string>/x.dsplug</string>";
    finds_wrong(
        "[a]: it excepts nothing: entry 1: its key pth is not known",
        |mac| {
            mac.write(
                EXCEPTIONS,
                &list(&format!("{path}<key>pth</key><string>/x</string>")),
            );
        },
    );
    finds(Severity::Note, "[a]: it has expired", |mac| {
        let expires = "<key>expires</key><date>2020-01-01T00:00:00Z</date>";
        mac.write(EXCEPTIONS, &list(&format!("{path}{expires}")));
    });
}

#[test]
fn folder_that_cannot_be_listed() {
    // A file where the folder should be cannot be listed by anyone, root included.
    finds_wrong("/Library/DirectoryServices/PlugIns: unreadable", |mac| {
        fs::remove_dir(mac.path(FOLDER)).unwrap();
        mac.write(FOLDER, "");
    });
}

#[test]
fn installation_cut_short() {
    finds_wrong("an installation was cut short", |mac| {
        fs::create_dir_all(mac.path("var/db/dsplug/journal")).unwrap();
    });
}

#[test]
fn fleets_own_list_hides_ours() {
    let mac = Mac::sound();
    fs::create_dir_all(mac.path("opt/orbit")).unwrap();
    mac.write(
        "opt/orbit/extensions.load",
        "/opt/orbit/bin/extensions/other/macos/stable/other.ext\n",
    );
    UnixListener::bind(mac.path("opt/orbit/orbit-osquery.em")).unwrap();
    let findings = mac.examine_as(Some(Agent::Fleet));
    // The other is the note on what comes from the server.
    assert_eq!(findings.len(), 2, "{findings:#?}");
    assert!(
        findings[0]
            .what
            .contains("Fleet's update server ships extensions"),
        "{findings:#?}"
    );
}

#[test]
fn the_agent_is_found_out() {
    let mac = Mac::sound();
    fs::remove_dir_all(mac.path("opt/osquery")).unwrap();
    fs::create_dir_all(mac.path("opt/orbit/bin/orbit")).unwrap();
    let findings = mac.examine();
    // The other is the note on what comes from the server.
    assert_eq!(findings.len(), 2, "{findings:#?}");
    assert!(
        findings[1].what.starts_with("/opt/orbit/orbit-osquery.em"),
        "{findings:#?}"
    );
}

#[test]
fn the_command_ends_with_one_when_something_is_wrong() {
    let mac = Mac::sound();
    fs::remove_file(mac.path(LOAD)).unwrap();
    // Whoever listens there says nothing; the test is not about waiting for it.
    fs::remove_file(mac.path(SOCKET)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_dsplug"))
        .args(["doctor", "--root"])
        .arg(mac.disk.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("wrong  /var/osquery/extensions.load: has no line for dsplug"),
        "{text}"
    );
    assert!(
        text.contains("       cure: add the line /opt/dsplug/bin/dsplug.ext\n"),
        "{text}"
    );
}
