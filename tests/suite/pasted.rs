//! Lines that a person pastes into a shell: whatever is called by an attacker, they say what was meant and nothing else,
//! as they were printed and as a reader of Markdown shows them.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output};

use dsplug::doctor::{self, Agent, Finding, Host};
use dsplug::root::Root;
use dsplug::shell::quoted;
use dsplug::text::escape;
use dsplug_fixtures::{Disk, PLUGINS, Plugin, X86_64, mach_header, skipped};
use serde_json::Value;

use crate::common::{DSPLUG, call, python, query};

/// Names that mean something to a shell, to Markdown, to its extensions or to HTML; `touch` would be seen.
pub const NAMES: &[&[u8]] = &[
    b"plain.dsplug",
    b"q'; touch pwned; '.dsplug",
    b"q&apos;; touch pwned; &apos;.dsplug",
    b"q&#39;; touch pwned; &#x27;.dsplug",
    b"`touch pwned`.dsplug",
    b"```; touch pwned; ```` `.dsplug",
    b"~~~.dsplug",
    b"Go~~~~od~~x~~ ==y== ^^z^^ ~w~.dsplug",
    b"|touch pwned|;touch pwned&.dsplug",
    b"$(touch pwned) ${HOME} $x$ $$y$$.dsplug",
    b"a\n'; touch pwned; '\n```\n.dsplug",
    b"<img src=x onerror=y>.dsplug",
    b"<!-- x <script> <?y <![CDATA[z.dsplug",
    b"[l](http:x) ![i](y) [^1] [x]: y {r(z)}.dsplug",
    b"\"x\" \\' \\` \\\\ ! *a* _b_ #1.dsplug",
    b"a  b   c .dsplug",
    b"www.example.com a@example.com @user :smile: (c) -- ....dsplug",
    // Within single quotes a backslash is itself in sh and an escape in fish.
    b"E\\'; touch pwned; #.dsplug",
    b"\\\\'; touch pwned; '\\'(touch pwned)'\\\\''!! ''.dsplug",
    b"- [ ] x.dsplug",
    b">!spoiler!< ++z++ \xff\xc3\xa9.dsplug",
];

/// Shells into which a person may paste, each with what keeps the person's own settings out of it. `mksh` and `busybox`
/// are among them for what is left of `ksh` and `ash`.
const SHELLS: &[&[&str]] = &[
    &["sh"],
    &["dash"],
    &["bash", "--norc"],
    &["zsh", "-f"],
    &["zsh", "-f", "-o", "rcquotes"],
    &["fish", "--no-config"],
    &["mksh"],
    &["busybox", "sh"],
];

/// A shell that is given a text to run; `None` where there is none of that name.
fn shell(words: &[&str], text: &str) -> Option<Command> {
    let path = std::env::var_os("PATH")?;
    let binary = std::env::split_paths(&path)
        .find_map(|place| Some(place.join(words[0])).filter(|at| at.exists()))?;
    let mut command = Command::new(binary);
    command.args(&words[1..]).args(["-c", text]);
    Some(command)
}

#[test]
fn a_word_is_the_same_text_in_every_shell() {
    let texts: Vec<String> = NAMES.iter().map(|name| escape(name)).collect();
    let all: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    let line = format!("printf '%s!' {}", all.join(" "));
    let wanted: String = texts.iter().map(|text| format!("{text}!")).collect();
    for words in SHELLS {
        let place = tempfile::tempdir().unwrap();
        let Some(mut command) = shell(words, &line) else {
            skipped(format!("no {}", words[0]));
            continue;
        };
        let output = command.current_dir(place.path()).output().unwrap();
        assert!(output.stderr.is_empty(), "{words:?}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), wanted, "{words:?}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "{words:?}");
    }
}

/// What a shell would call were it given this text, each call with its arguments; nothing else may come of it. Every
/// shell that is here calls the same.
#[track_caller]
fn calls(text: &str) -> Vec<Vec<String>> {
    let place = tempfile::tempdir().unwrap();
    let here = tempfile::tempdir().unwrap();
    for stub in [
        "sudo", "dsplug", "log", "dscl", "lsof", "pkgutil", "chown", "chmod",
    ] {
        let stub = place.path().join(stub);
        fs::write(
            &stub,
            "#!/bin/sh\nprintf '%s\\0' \"$#\" \"${0##*/}\" \"$@\"\n",
        )
        .unwrap();
        dsplug_fixtures::chmod(stub, 0o755);
    }
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", place.path().display());
    let run = |command: &mut Command| -> Output {
        let command = command.env("PATH", &path).current_dir(here.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{text}\n{output:?}");
        assert!(output.stderr.is_empty(), "{text}\n{output:?}");
        assert_eq!(fs::read_dir(here.path()).unwrap().count(), 0, "{text}");
        output
    };
    run(Command::new("sh").args(["-n", "-c", text]));
    let told = run(Command::new("sh").args(["-c", text])).stdout;
    if let Some(mut fish) = shell(&["fish", "--no-config"], text) {
        assert_eq!(run(&mut fish).stdout, told, "{text}");
    }
    let told = String::from_utf8(told).unwrap();
    let mut words = told.split_terminator('\0').map(str::to_owned);
    let mut calls = Vec::new();
    while let Some(count) = words.next() {
        calls.push(
            words
                .by_ref()
                .take(count.parse::<usize>().unwrap() + 1)
                .collect(),
        );
    }
    calls
}

/// The blocks of code in Markdown as it was written, by section 4.5 of CommonMark.
fn blocks(markdown: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        let inner = line.trim_start_matches(' ');
        let indent = line.len() - inner.len();
        let fence = inner.len() - inner.trim_start_matches('`').len();
        let tildes = inner.len() - inner.trim_start_matches('~').len();
        assert!(tildes < 3, "{line}");
        if fence < 3 || inner[fence..].contains('`') {
            continue;
        }
        let ends = |line: &&str| {
            let line = line.trim();
            line.len() < fence || line.bytes().any(|b| b != b'`')
        };
        let block = lines.by_ref().take_while(ends);
        blocks.push(block.map(|line| format!("{}\n", &line[indent..])).collect());
    }
    blocks
}

/// The lines of a report for a terminal that are pasted.
fn lines(text: &str) -> String {
    let lines = text.lines().filter_map(|line| line.strip_prefix("       "));
    lines.map(|line| format!("{line}\n")).collect()
}

fn explain(disk: &Disk, path: &str, format: &str) -> String {
    let output = call("explain", disk.path())
        .args([path, "--format", format])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// All that the report on a bundle gives to paste, by its path as it is shown.
fn wanted(disk: &Disk, path: &str, hash: &str, outside: Option<(&str, &str)>) -> Vec<Vec<String>> {
    let root = disk.path().to_str().unwrap();
    let expect = ["--expect", hash];
    let mut wanted: Vec<Vec<&str>> = vec![
        vec!["pkgutil", "--file-info", path],
        vec!["sudo", "dsplug", "collect", path, "--root", root],
        vec![
            "log",
            "show",
            "--last",
            "1d",
            "--predicate",
            "process == \"dspluginhelperd\"",
        ],
        vec!["sudo", "vmmap", "dspluginhelperd"],
        vec!["dscl", "/Search", "-read", "/", "CSPSearchPath"],
        vec!["dsplug", "compare", path, "OTHER", "--root", root],
        [
            &["sudo", "dsplug", "quarantine", path][..],
            &expect,
            &["--reason", "TEXT", "--root", root],
        ]
        .concat(),
    ];
    if let Some((place, sha256)) = outside {
        wanted.push(vec!["sudo", "lsof", place]);
        wanted.push(vec!["pkgutil", "--file-info", place]);
        let both = ["--with-executable", "--expect-executable", sha256];
        wanted.push(
            [
                &["sudo", "dsplug", "quarantine", path][..],
                &expect,
                &both,
                &["--reason", "TEXT", "--root", root],
            ]
            .concat(),
        );
    }
    wanted.extend([
        vec![
            "sudo",
            "launchctl",
            "kill",
            "SIGKILL",
            "system/com.apple.dspluginhelperd",
        ],
        vec!["dsplug", "quarantine", "--list", "--root", root],
        vec!["sudo", "dsplug", "restore", "ID", "--root", root],
    ]);
    let owned = |call: Vec<&str>| call.into_iter().map(str::to_owned).collect();
    wanted.into_iter().map(owned).collect()
}

/// The commands of a report in JSON, in order.
fn commands(report: &Value) -> String {
    let sections = report.as_object().unwrap().values();
    let steps = sections.filter_map(Value::as_array).flatten();
    let commands = steps
        .filter_map(|step| step.get("commands")?.as_array())
        .flatten();
    commands
        .map(|command| format!("{}\n", command.as_str().unwrap()))
        .collect()
}

#[test]
fn the_commands_of_a_report_are_the_very_commands_in_every_format() {
    let disk = Disk::new();
    for name in NAMES {
        let name = std::ffi::OsStr::from_bytes(name);
        Plugin::new("A").write_as(disk.plugin(name));
    }
    let rows = query(
        disk.path(),
        "SELECT path, hash FROM dsplug_bundles ORDER BY path",
    );
    assert_eq!(rows.len(), NAMES.len());
    same_everywhere(
        &disk,
        rows.iter().map(|row| (&*row["path"], &*row["hash"], None)),
    );
}

/// Where a bundle's code stands is chosen by who made the bundle.
#[test]
fn an_executable_outside_is_looked_for_by_its_very_name() {
    let disk = Disk::new();
    let mut outside = Vec::new();
    for (number, name) in NAMES.iter().enumerate() {
        // An Info.plist has no bytes that are no text, and no name that is not found.
        let Ok(name) = std::str::from_utf8(name) else {
            continue;
        };
        disk.file(format!("Users/Shared/{name}"), mach_header(X86_64));
        Plugin::new("A")
            .key(
                "CFBundleExecutable",
                &*format!("../../../../../../Users/Shared/{name}"),
            )
            .without_executable()
            .write_as(disk.plugin(format!("{number:02}.dsplug")));
        outside.push(number);
    }
    let rows = query(
        disk.path(),
        "SELECT path, hash, executable, executable_hash FROM dsplug_bundles WHERE executable_outside = 1 ORDER BY path",
    );
    assert_eq!(rows.len(), outside.len());
    let found = rows.iter().map(|row| {
        let outside = (&*row["executable"], &*row["executable_hash"]);
        (&*row["path"], &*row["hash"], Some(outside))
    });
    same_everywhere(&disk, found);
}

#[track_caller]
fn same_everywhere<'a>(
    disk: &Disk,
    rows: impl Iterator<Item = (&'a str, &'a str, Option<(&'a str, &'a str)>)>,
) {
    let shown = tempfile::tempdir().unwrap();
    let place = |number: usize, end: &str| shown.path().join(format!("{number}.{end}"));
    let mut all = Vec::new();
    for (number, (path, hash, outside)) in rows.enumerate() {
        let wanted = wanted(disk, path, hash, outside);
        assert_eq!(
            calls(&lines(&explain(disk, path, "text"))),
            wanted,
            "{path}"
        );
        let json = serde_json::from_str(&explain(disk, path, "json")).unwrap();
        assert_eq!(calls(&commands(&json)), wanted, "{path}");
        let markdown = explain(disk, path, "markdown");
        assert_eq!(calls(&blocks(&markdown).concat()), wanted, "{markdown}");
        fs::write(place(number, "md"), markdown).unwrap();
        fs::write(place(number, "title"), path).unwrap();
        all.push(wanted);
    }
    python::check_with("consumers/markdown.py", Some(shown.path()));
    for (number, wanted) in all.iter().enumerate() {
        for reader in ["markdown-it", "mistune"] {
            // Where there is no reader, the script said so.
            if let Ok(blocks) = fs::read_to_string(place(number, &format!("{reader}.blocks"))) {
                assert_eq!(calls(&blocks.replace('\0', "")), *wanted, "{reader}");
            }
        }
    }
}

/// Of a bundle with more entries than are shown, the rest is asked for by SQL in a shell's word.
#[test]
fn a_query_that_is_pasted_runs_nothing() {
    let disk = Disk::new();
    let name = "q'$(touch pwned)`touch pwned`\"; touch pwned; \".dsplug";
    let bundle = Plugin::new("A").write_as(disk.plugin(name));
    for number in 0..2_000 {
        fs::write(bundle.join(format!("Contents/{number}")), "").unwrap();
    }
    let path = format!("/{PLUGINS}/{name}");
    let json: Value = serde_json::from_str(&explain(&disk, &path, "json")).unwrap();
    let step = &json["files_more"][0];
    assert!(
        step["says"]
            .as_str()
            .unwrap()
            .contains("more; code comes first")
    );
    let line = step["commands"][0].as_str().unwrap();
    let root = disk.path().to_str().unwrap();
    let sql = format!(
        "SELECT * FROM dsplug_files WHERE bundle_path = '{}'",
        path.replace('\'', "''")
    );
    assert_eq!(calls(line), [["dsplug", "query", "--root", root, &sql]]);
    // And it is the query that was meant.
    let rows = query(disk.path(), &sql);
    assert!(rows.len() > 2_000, "{}", rows.len());
}

/// Whoever writes osqueryd's list of extensions names the binary that the doctor finds.
#[test]
fn a_cure_that_is_pasted_is_for_the_place_alone() {
    let disk = Disk::new();
    let folder = "opt/it's; touch pwned; '$(touch pwned)";
    let binary = format!("{folder}/dsplug.ext");
    disk.file(&binary, mach_header(X86_64));
    dsplug_fixtures::chmod(disk.at(&binary), 0o666);
    dsplug_fixtures::chmod(disk.at(folder), 0o777);
    disk.file("var/osquery/extensions.load", format!("/{binary}\n"));
    disk.file("var/osquery/osquery.flags", "");
    let findings = examine(&disk, false);
    let lines = findings.iter().filter_map(command);
    let cures: Vec<Vec<String>> = lines
        .filter(|line| line.starts_with("ch"))
        .map(|line| calls(&line).concat())
        .collect();
    let (binary, folder) = (format!("/{binary}"), format!("/{folder}"));
    for cure in [
        ["chmod", "0755", &binary],
        ["chmod", "go-w", &binary],
        ["chmod", "go-w", &folder],
    ] {
        assert!(cures.iter().any(|c| *c == cure), "{cure:?} of {cures:#?}");
    }
}

/// Whoever writes osqueryd's flags names the files that the doctor would have written.
#[test]
fn a_cure_that_writes_a_file_writes_that_file_alone() {
    let disk = Disk::new();
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str| format!("{}/{name} \\'; touch pwned; #", place.path().display());
    let (load, config) = (file("load"), file("config"));
    let flags = format!("--extensions_autoload={load}\n--config_path={config}\n");
    disk.file("var/osquery/osquery.flags", flags);
    let findings = examine(&disk, false);
    for (file, content) in [(&load, "/opt/dsplug/bin/dsplug.ext\n"), (&config, "{}\n")] {
        let its = |finding: &&Finding| finding.what.starts_with(&escape(file.as_bytes()));
        let cure = findings.iter().filter(its).find_map(command).unwrap();
        assert!(cure.starts_with("echo "), "{cure}");
        assert_eq!(calls(&cure), Vec::<Vec<String>>::new());
        let written = fs::read_to_string(file).unwrap_or_default();
        assert!(!written.is_empty(), "{cure}");
        // Where fish is here, it has done so too.
        assert_eq!(written.replace(content, ""), "", "{cure}");
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
}

/// What the doctor of a Mac, or of an image of its disk, finds.
fn examine(disk: &Disk, is_image: bool) -> Vec<Finding> {
    doctor::examine(&Host {
        root: &Root::open(disk.path()).unwrap(),
        mount: disk.path(),
        is_image,
        owner: 0,
        agent: Some(Agent::Osquery),
        socket: None,
        registry: None,
    })
}

/// The command of a cure.
fn command(finding: &Finding) -> Option<String> {
    let cure = finding.cure.to_string();
    let (_, command) = cure.split_once(": ")?;
    // What is to be written into a file begins so.
    (!command.starts_with('{')).then(|| command.to_owned())
}

/// On a Mac of his own a responder would paste what an image has him write.
#[test]
fn of_an_image_no_cure_is_a_command_and_no_path_of_its_is_in_one() {
    let disk = Disk::new();
    let binary = "opt/xyzzy/dsplug.ext";
    disk.file(binary, mach_header(X86_64));
    dsplug_fixtures::chmod(disk.at(binary), 0o666);
    disk.file("var/osquery/extensions.load", format!("/{binary}\n"));
    disk.file("var/osquery/osquery.flags", "--config_path=/xyzzy.conf\n");
    disk.file(
        "Library/Application Support/dsplug/exceptions.plist",
        "not one",
    );
    let commands = examine(&disk, false).iter().filter_map(command).count();
    assert!(commands >= 3, "{commands}");
    let findings = examine(&disk, true);
    assert!(findings.len() > commands);
    for finding in &findings {
        assert_eq!(command(finding), None, "{finding}");
        assert!(!finding.cure.to_string().contains("xyzzy"), "{finding}");
    }
}

/// A disk is called by its label, which whoever made it chose. A line without `--root` would be for the Mac on which it
/// is pasted.
#[test]
fn of_a_disk_whose_path_cannot_be_pasted_no_line_is_given() {
    let place = tempfile::tempdir().unwrap();
    for (name, shown) in [
        (&b"\xff disk"[..], "\\xff disk"),
        (b"\x1b]0;own\x07", "\\x1b]0;own\\x07"),
        (b"a\n# b", "a\\x0a# b"),
        ("a\u{202e}b".as_bytes(), "a\\u{202e}b"),
    ] {
        let root = place.path().join(std::ffi::OsStr::from_bytes(name));
        Plugin::new("A").write_as(root.join(PLUGINS).join("A.dsplug"));
        let path = format!("/{PLUGINS}/A.dsplug");
        for (option, format) in [
            ("--root", "text"),
            ("--root", "markdown"),
            ("--root", "json"),
            ("--state-dir", "text"),
        ] {
            let mut call = Command::new(DSPLUG);
            call.args(["explain", &path, "--format", format])
                .arg(option)
                .arg(&root);
            if option != "--root" {
                call.arg("--root").arg(place.path().join("link"));
                let _ = std::os::unix::fs::symlink(&root, place.path().join("link"));
            }
            let output = call.output().unwrap();
            assert!(output.status.success(), "{shown}: {output:?}");
            let told = String::from_utf8(output.stdout).unwrap();
            assert!(!told.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{told}");
            let given = match format {
                "text" => lines(&told),
                "markdown" => blocks(&told).concat(),
                _ => commands(&serde_json::from_str(&told).unwrap()),
            };
            let calls = calls(&given);
            assert!(
                calls
                    .iter()
                    .all(|call| call[0] != "dsplug"
                        && call.get(1).is_none_or(|word| word != "dsplug")),
                "{given}"
            );
            // The others are for no disk by its name.
            assert!(calls.iter().any(|call| call[0] == "dscl"), "{given}");
            let why = match format {
                "json" => told.replace("\\\\", "\\"),
                _ => told.replace('`', ""),
            };
            assert!(
                why.contains(&format!("{}/{shown}", place.path().display())),
                "{why}"
            );
            assert!(why.contains(option), "{why}");
        }
        let _ = fs::remove_file(place.path().join("link"));
    }
}

/// What quarantine took from an image is put back into that.
#[test]
fn the_way_back_names_the_disk() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let hash = crate::common::only_bundle(disk.path())["hash"].clone();
    let state = tempfile::tempdir().unwrap();
    let states = state.path();
    for name in ["it's here", "it's \u{a0} here"] {
        let state = states.join(name);
        fs::create_dir(&state).unwrap();
        let path = format!("/{PLUGINS}/A.dsplug");
        let output = call("quarantine", disk.path())
            .args([&path, "--expect", &hash, "--yes-write-image", "--state-dir"])
            .arg(&state)
            .output()
            .unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let find = |name: &str| {
            let line = told.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{told}")).trim()
        };
        let (id, root) = (find("quarantined "), disk.path().to_str().unwrap());
        if name.is_ascii() {
            let state = state.to_str().unwrap();
            let wanted = [
                "dsplug",
                "restore",
                id,
                "--root",
                root,
                "--state-dir",
                state,
                "--yes-write-image",
            ];
            let called = calls(find("back "));
            assert_eq!(called, [wanted]);
            let output = Command::new(env!("CARGO_BIN_EXE_dsplug"))
                .args(&called[0][1..])
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
        } else {
            assert!(
                find("back ").contains("of --state-dir cannot be pasted"),
                "{told}"
            );
            assert!(!told.contains('\u{a0}'), "{told}");
        }
    }
}
