//! The command line as people use it: pipes, slips of the pen, other programs that read the answer,
//! and the files that are generated from its declaration.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use clap_complete::Shell;
use dsplug_fixtures::{Disk, Plugin, generated};
use serde_json::Value;

const DSPLUG: &str = env!("CARGO_BIN_EXE_dsplug");

fn dsplug(arguments: &[&str]) -> Command {
    let mut command = Command::new(DSPLUG);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A command over a disk.
fn on(disk: &Disk, arguments: &[&str]) -> Command {
    let mut command = dsplug(arguments);
    command.arg("--root").arg(disk.path());
    command
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[track_caller]
fn succeeds(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    text(output.stdout)
}

/// A call that could not be done: status 1, nothing on standard output, one line that says why.
#[track_caller]
fn fails(output: Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let error = text(output.stderr);
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.starts_with("dsplug: "), "{error}");
    error
}

fn one_plugin() -> Disk {
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    disk
}

#[test]
fn completions_and_man_pages_are_current() {
    let new = tempfile::tempdir().unwrap();
    let (completions, man) = (new.path().join("completions"), new.path().join("man"));
    for folder in [&completions, &man] {
        fs::create_dir(folder).unwrap();
    }
    let command = || dsplug::cli::command().disable_help_subcommand(true);
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command(), "dsplug", &completions).unwrap();
    }
    clap_mangen::generate_to(command(), &man).unwrap();
    let install = Path::new(env!("CARGO_MANIFEST_DIR")).join("install");
    for name in ["completions", "man"] {
        let (new, kept) = (new.path().join(name), install.join(name));
        if generated::renews() {
            let _ = fs::remove_dir_all(&kept);
            fs::create_dir(&kept).unwrap();
            for (path, content) in files(&new) {
                fs::write(kept.join(path), content).unwrap();
            }
        }
        assert!(
            files(&new) == files(&kept),
            "install/{name} is not what the command line gives: run tests/regenerate"
        );
        assert!(!files(&new).is_empty());
    }
}

fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let name = |path: &Path| PathBuf::from(path.file_name().unwrap());
    entries
        .map(|entry| {
            (
                name(&entry.path()),
                fs::read_to_string(entry.path()).unwrap(),
            )
        })
        .collect()
}

#[test]
fn a_socket_needs_a_path_and_stands_in_the_help() {
    for arguments in [
        &["--socket"][..],
        &["--timeout", "3", "list"],
        &["--verbose", "list"],
    ] {
        let output = dsplug(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(output.stderr).contains("--socket"));
    }
    let help = succeeds(dsplug(&["--help"]).output().unwrap());
    assert!(help.contains("--socket <PATH>"), "{help}");
}

#[test]
fn a_wrong_query_is_told_in_one_line_that_says_what_there_is() {
    let disk = one_plugin();
    let error = fails(
        on(&disk, &["query", "SELECT\n 1\n FROM x"])
            .output()
            .unwrap(),
    );
    for part in ["no such table: x", "dsplug_bundles", "osqueryd"] {
        assert!(error.contains(part), "{error}");
    }
    let error = fails(
        on(
            &disk,
            &[
                "query",
                "SELECT path\n  FROM\n dsplug_bundles WHERE nope = 1",
            ],
        )
        .output()
        .unwrap(),
    );
    assert!(
        error.contains("no such column: nope, at character"),
        "{error}"
    );
}

#[test]
fn a_query_is_taken_from_standard_input() {
    let disk = one_plugin();
    for arguments in [
        &["query", "--format", "csv"][..],
        &["query", "--format", "csv", "-"],
    ] {
        let mut child = on(&disk, arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let sql = b"SELECT plugin_name\nFROM dsplug_bundles";
        child.stdin.take().unwrap().write_all(sql).unwrap();
        assert_eq!(
            succeeds(child.wait_with_output().unwrap()),
            "plugin_name\nA\n"
        );
    }
    let error = fails(on(&disk, &["query"]).output().unwrap());
    assert!(error.contains("there is no query"), "{error}");
}

#[test]
fn lists_and_schemas_for_a_program() {
    let disk = one_plugin();
    let list: Value = serde_json::from_str(&succeeds(
        on(&disk, &["list", "--format", "json"]).output().unwrap(),
    ))
    .unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(
        list[0]["path"],
        "/Library/DirectoryServices/PlugIns/A.dsplug"
    );
    assert_eq!(list[0]["load_verdict"], "loadable");

    let call = ["schema", "dsplug_status", "--format", "json"];
    let schema: Value = serde_json::from_str(&succeeds(dsplug(&call).output().unwrap())).unwrap();
    assert_eq!(schema.as_array().unwrap().len(), 1);
    assert_eq!(schema[0]["name"], "dsplug_status");
    let error = fails(dsplug(&["schema", "status"]).output().unwrap());
    assert!(
        error.contains("no table status; the tables are dsplug_bundles"),
        "{error}"
    );
}

/// `/` of Linux has no plug-ins, and that says nothing of any Mac.
#[test]
fn a_root_that_is_no_macs_is_an_error_that_names_the_way_out() {
    let root = tempfile::tempdir().unwrap();
    let image = ["--root", root.path().to_str().unwrap()];
    for call in [
        &["list"][..],
        &["list", "--format", "json"],
        &["baseline"],
        &["explain", "/Library/DirectoryServices/PlugIns/A.dsplug"],
        &["query", "SELECT path FROM dsplug_bundles"],
    ] {
        let mut roots = vec![&image[..]];
        if cfg!(target_os = "linux") && !Path::new("/Library").exists() {
            roots.push(&[]);
        }
        for root in roots {
            let error = fails(dsplug(&[call, root].concat()).output().unwrap());
            assert!(error.contains("neither Library nor System"), "{error}");
            assert!(error.contains("--root"), "{error}");
        }
    }
}

#[test]
fn a_reader_that_goes_is_no_failure_and_its_lines_come_again() {
    let disk = one_plugin();
    let state = tempfile::tempdir().unwrap();
    let state = state.path().join("state");
    let mut child = on(&disk, &["detect"])
        .arg("--state")
        .arg(&state)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(!state.exists());
}

#[test]
fn a_pack_is_a_file_and_packs_of_others_are_read_as_osquery_reads_them() {
    let disk = one_plugin();
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    for path in [fifo.to_str().unwrap(), "/dev/zero"] {
        let error = fails(
            on(&disk, &["detect"])
                .args(["--pack", path])
                .output()
                .unwrap(),
        );
        assert!(error.contains("it is not a regular file"), "{error}");
    }
    let error = fails(
        on(&disk, &["detect", "--pack", "/nowhere"])
            .output()
            .unwrap(),
    );
    assert!(!error.contains("os error"), "{error}");

    let pack = folder.path().join("mine.conf");
    let content = "// of ours\n{\"queries\": {\"q\": {\n# all\n\"query\": \"SELECT path \\\nFROM dsplug_bundles\"}}}\n";
    fs::write(&pack, content).unwrap();
    let lines = succeeds(
        on(&disk, &["detect"])
            .arg("--pack")
            .arg(&pack)
            .output()
            .unwrap(),
    );
    assert!(lines.contains("pack_mine_q"), "{lines}");
}

#[test]
fn what_cannot_be_listed_is_said_once_and_with_a_cure_that_helps() {
    let disk = Disk::empty();
    disk.file("Library/DirectoryServices/PlugIns", "no directory");
    let error = fails(on(&disk, &["list"]).output().unwrap());
    assert!(
        error.contains("look at what stands in the folder's place"),
        "{error}"
    );
    let output = on(&disk, &["detect"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = text(output.stderr);
    assert_eq!(error.matches("look at what stands").count(), 1, "{error}");
}

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Runs a line of a page as a shell would, with this program in its place.
#[track_caller]
fn runs(line: &str) {
    let output = Command::new("sh")
        .args(["-c", line])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
    assert!(!output.stdout.is_empty(), "{line}");
}

#[test]
fn the_commands_of_the_pages_run() {
    let mut seen = 0;
    for name in ["README.md", "packs/README.md", "install/RESPONSE.md"] {
        let page = page(name);
        for line in page.lines() {
            if let Some(call) = line.strip_prefix("$ cargo run --release -- ") {
                runs(&format!("{DSPLUG} {call}"));
                seen += 1;
            } else if let Some(call) = line.strip_prefix("$ dsplug ") {
                runs(&format!("{DSPLUG} --root tests/images/sample {call}"));
                seen += 1;
            }
        }
        // In a sentence, a query is of the caller's Mac: here it is of the sample.
        let joined = page.replace('\n', " ");
        for call in joined
            .split('`')
            .filter(|code| code.starts_with("dsplug query \""))
        {
            runs(&format!(
                "{DSPLUG} --root tests/images/sample {}",
                &call["dsplug ".len()..]
            ));
            seen += 1;
        }
    }
    assert!(seen >= 7, "{seen}");
}

/// Each row of the table of commands is a command, with the flags that it has, and no command is
/// left out.
#[test]
fn the_readme_s_table_of_commands_is_the_command_line() {
    let readme = page("README.md");
    let (_, part) = readme.split_once("\n## The commands\n").unwrap();
    let (part, _) = part.split_once("\n## ").unwrap();
    let rows: Vec<&str> = part
        .lines()
        .filter(|l| l.starts_with("| `dsplug "))
        .collect();
    let command = dsplug::cli::command();
    let mut listed = Vec::new();
    for row in rows {
        let codes: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        let name = codes[0].split(' ').nth(1).unwrap();
        if name.starts_with('-') {
            continue;
        }
        let found = command.find_subcommand(name);
        let found = found.unwrap_or_else(|| panic!("there is no command {name}"));
        let words = codes.iter().flat_map(|code| code.split(' '));
        for flag in words.filter_map(|word| word.strip_prefix("--")) {
            let has = found.get_arguments().any(|a| a.get_long() == Some(flag));
            let global = command.get_arguments().any(|a| a.get_long() == Some(flag));
            assert!(has || global, "dsplug {name} has no --{flag}");
        }
        listed.push(name.to_owned());
    }
    for found in command.get_subcommands() {
        let name = found.get_name();
        assert!(
            listed.iter().any(|l| l == name),
            "dsplug {name} is not in the README"
        );
    }
}
