//! The calls of one scan.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use dsplug::table::{TABLES, Table};
use dsplug_fixtures::seal::dictionary;
use dsplug_fixtures::signature::{SHA1, digest};
use dsplug_fixtures::signed_bundle::{Form, SignedBundle};
use dsplug_fixtures::{Disk, PLUGINS, Plugin, SYSTEM_PLUGINS, chmod, skipped};
use serde_json::{Map, Value};

use super::strace::{self, Call, Run};

/// Of more calls of one name than this, so many are made to fail, spread evenly.
const MOST: usize = 60;
/// Set it, and every one of them is.
const ALL: &str = "DSPLUG_EVERY_FAULT";

/// A row by its columns.
type Row = Map<String, Value>;
/// Every row by its table and its path.
type Rows = BTreeMap<(String, String), Row>;

/// A disk with a bundle of each kind that a scan reads in a way of its own.
fn disk() -> Disk {
    let disk = Disk::new();
    let mut many = Plugin::new("Many");
    // Enough files for a second thread.
    for number in 0..10 {
        many = many.file(&format!("Contents/Resources/{number}"), "x");
    }
    let many = many.write(disk.plugin(""));
    std::os::unix::fs::symlink("0", many.join("Contents/Resources/link")).unwrap();
    attribute(&many, "quarantine", b"0083;5f3d2a1b;Safari;7E2C0F6E");
    SignedBundle::full("Signed").write(disk.plugin("de.lproj"));
    let fork = SignedBundle::new("Forked", Form::Deep).write(disk.plugin(""));
    attribute(&fork.join("Contents/MacOS/Forked"), "FinderInfo", b"x");
    // Sealed by SHA-1 alone, for which the seal is read before all else.
    let sha1 = digest(SHA1, b"sealed");
    SignedBundle::new("Old", Form::Deep)
        .file("Resources/data", b"sealed")
        .edit_seal(move |seal| {
            let files = seal.get_mut("files2").unwrap().as_dictionary_mut().unwrap();
            let entry = dictionary([("hash", plist::Value::Data(sha1.clone()))]);
            files.insert("Resources/data".into(), entry);
        })
        .write(disk.plugin("Resources"));
    Plugin::new("Outside")
        .key("CFBundleExecutable", "/opt/out")
        .without_executable()
        .write(disk.plugin("sub"));
    disk.file(
        "opt/out",
        dsplug_fixtures::mach_header(dsplug_fixtures::ARM64E),
    );
    SignedBundle::new("Target", Form::Deep).write(disk.dir("opt"));
    disk.link(format!("{PLUGINS}/Link.dsplug"), "/opt/Target.dsplug");
    disk.file(format!("{SYSTEM_PLUGINS}/File.dsplug"), "a file");
    let exceptions = disk.file(
        &dsplug::exceptions::LOCAL[1..],
        "<plist><dict><key>Exceptions</key><array><dict><key>id</key><string>known</string>\
         <key>path</key><string>/Library/DirectoryServices/PlugIns/Link.dsplug</string>\
         </dict></array></dict></plist>",
    );
    chmod(exceptions, 0o644);
    disk
}

/// Sets an extended attribute of a Mac's, where the file system takes any.
fn attribute(path: &Path, name: &str, value: &[u8]) {
    let name = format!("user.com.apple.{name}");
    let _ = rustix::fs::setxattr(path, name, value, rustix::fs::XattrFlags::empty());
}

/// Every column of what is on disk.
fn sql() -> String {
    let has_path = |t: &&&dyn Table| t.headings().iter().any(|h| h.name == "path");
    let all = TABLES.iter().filter(has_path);
    let selects = all.map(|table| {
        let headings = table.headings();
        let pairs = headings.iter().map(|h| format!("'{0}', \"{0}\"", h.name));
        let pairs = pairs.collect::<Vec<_>>().join(", ");
        let name = table.name();
        format!("SELECT '{name}' AS name, path, json_object({pairs}) AS columns FROM {name}")
    });
    let state =
        "SELECT 'dsplug_status', '', json_object('state', exceptions_state) FROM dsplug_status";
    let selects: Vec<String> = selects.chain([state.to_owned()]).collect();
    selects.join(" UNION ALL ")
}

fn program(disk: &Disk) -> Vec<OsString> {
    let mut program: Vec<OsString> = vec![env!("CARGO_BIN_EXE_dsplug").into()];
    program.extend(["query", "--format", "json", "--root"].map(Into::into));
    program.extend([disk.path().into(), sql().into()]);
    program
}

fn rows(stdout: &[u8]) -> Result<Rows, String> {
    let answer: Vec<BTreeMap<String, String>> =
        serde_json::from_slice(stdout).map_err(|e| format!("a damaged answer: {e}"))?;
    let row = |row: &BTreeMap<String, String>| {
        let columns = serde_json::from_str(&row["columns"]).unwrap();
        ((row["name"].clone(), row["path"].clone()), columns)
    };
    Ok(answer.iter().map(row).collect())
}

fn text<'a>(row: &'a Row, column: &str) -> &'a str {
    row.get(column).and_then(Value::as_str).unwrap_or_default()
}

/// What must hold of every run of which one call failed. `gone` is what the system said is not
/// there, as the Mac names it.
fn check(usual: &Rows, run: &Run, gone: Option<&Path>) -> Result<(), String> {
    if let Some(crash) = run.crash() {
        return Err(crash);
    }
    if run.output.status.code() == Some(1) {
        if !run.output.stdout.is_empty() {
            return Err("an answer, and a failure".into());
        }
        return run.refusal().map(drop);
    }
    let rows = rows(&run.output.stdout)?;
    let exceptions = text(&rows[&("dsplug_status".into(), String::new())], "state").to_owned();
    let usual_exceptions = text(&usual[&("dsplug_status".into(), String::new())], "state");
    if exceptions != usual_exceptions
        && exceptions != "error"
        && !(exceptions == "none" && gone.is_some())
    {
        return Err(format!("the exceptions are {exceptions}"));
    }
    // What is said not to be there may change where the loader looks for all others.
    let is_of_place = |column: &str| {
        matches!(
            column,
            "load_verdict"
                | "load_reasons"
                | "discovered_via"
                | "anomalies"
                | "candidates"
                | "entries"
        )
    };
    // What cannot be looked at where the loader does not look is told by a row of the folder.
    let is_cut = |key: &(String, String)| {
        let folder = Path::new(&key.1);
        key.0 == "dsplug_bundles"
            && [PLUGINS, SYSTEM_PLUGINS]
                .map(|f| Path::new("/").join(f))
                .iter()
                .any(|f| f == folder)
    };
    let is_told = rows.keys().any(is_cut);
    // What cannot be looked at may be a link that leads the loader to what is not listed by itself.
    let leads_anywhere = rows.iter().any(|(key, row)| {
        let is_unknown = key.0 == "dsplug_bundles" && text(row, "resolved_path").is_empty();
        is_unknown && !text(row, "error").is_empty()
    });
    if let Some((key, _)) = rows.iter().find(|(key, row)| {
        !usual.contains_key(*key)
            && (key.0 != "dsplug_exceptions" || text(row, "error").is_empty())
            && (!is_cut(key) || text(row, "error").is_empty())
    }) {
        return Err(format!("a row of nothing: {key:?}"));
    }
    for (key, before) in usual {
        let (table, path) = (key.0.as_str(), key.1.as_str());
        let bundle = text(before, "bundle_path");
        let owner = rows.get(&("dsplug_bundles".into(), bundle.into()));
        let is_gone = gone.is_some_and(|gone| Path::new(path).starts_with(gone));
        let Some(now) = rows.get(key) else {
            let excused = match table {
                "dsplug_files" => owner.is_none_or(|o| !text(o, "error").is_empty()),
                "dsplug_exceptions" => exceptions != usual_exceptions,
                _ => is_gone || is_told,
            };
            if excused {
                continue;
            }
            return Err(format!("{table} has lost {path}"));
        };
        let said = !text(now, "error").is_empty()
            || is_told
            || owner.is_some_and(|o| !text(o, "error").is_empty())
            || (table == "dsplug_folders" && is_gone);
        for (column, was) in before {
            let is = &now[column];
            if is == was
                || column == "error"
                || table == "dsplug_status"
                || (gone.is_some() && is_of_place(column))
            {
                continue;
            }
            let word = is.as_str().unwrap_or_default();
            let maybe = text(before, column).replace("not_listed", "maybe_listed");
            let is_maybe = match column.as_str() {
                "load_reasons" => word == maybe,
                "load_verdict" => word == "unknown",
                _ => false,
            };
            if leads_anywhere && is_maybe {
                continue;
            }
            // So may a main executable that stands elsewhere.
            let outside = Path::new(text(before, "executable"));
            let is_elsewhere =
                gone.is_some_and(|gone| outside.starts_with(gone) && !outside.starts_with(path));
            if is_elsewhere && (word.is_empty() || !said) {
                continue;
            }
            let wrong = match column.as_str() {
                "exception" if exceptions != usual_exceptions => continue,
                // What a person trusts is as it was, or it is not there.
                "hash" | "executable_hash" | "cdhash" | "signer" | "team_identifier"
                | "exception" => !word.is_empty(),
                // A link that leads nowhere bears none.
                "signature_state" if gone.is_some() && word == "unsigned" => {
                    !text(now, "error").starts_with("broken_symlink: ")
                }
                "signature_state" => !matches!(word, "unreadable" | ""),
                "sealed" => word != "unknown",
                "load_verdict" => word != "unknown" && !(word == "not_loadable" && gone.is_some()),
                _ => false,
            };
            if wrong || !said {
                let error = text(now, "error");
                return Err(format!(
                    "{table} {path}: {column} was {was} and is {is}, with the error '{error}'"
                ));
            }
        }
    }
    Ok(())
}

/// Makes each call of a name that touches the disk, or comes after the first that does, fail in
/// turn by each fault.
fn fail(name: &str, faults: &[&str]) {
    if !strace::is_usable() {
        return;
    }
    let disk = disk();
    let program = program(&disk);
    let usual = std::process::Command::new(&program[0])
        .args(&program[1..])
        .output()
        .unwrap();
    let usual = rows(&usual.stdout).unwrap();
    let errors: Vec<&str> = usual
        .values()
        .map(|row| text(row, "error"))
        .filter(|e| !e.is_empty())
        .collect();
    if rustix::process::geteuid().is_root() {
        assert_eq!(errors, [""; 0], "the disk has a fault of its own");
    }
    // By the side of `name` those that tell where the disk comes in.
    let calls = strace::calls(&program, &format!("{name},openat"));
    let first = calls
        .iter()
        .position(|call| call.path.starts_with(disk.path()));
    let calls: Vec<&Call> = calls[first.unwrap()..]
        .iter()
        .filter(|call| call.name == name)
        .filter(|call| call.path.as_os_str().is_empty() || call.path.starts_with(disk.path()))
        .collect();
    if calls.is_empty() {
        // One core needs no thread, and some file systems take no attributes.
        return skipped(format_args!("a scan makes no call of {name} here"));
    }
    let step = match std::env::var_os(ALL) {
        Some(_) => 1,
        None => calls.len().div_ceil(MOST),
    };
    let (mut runs, mut met, mut wrong) = (0, 0, Vec::new());
    for call in calls.iter().step_by(step) {
        for fault in faults {
            let run = strace::run(&program, name, call.number, fault);
            let path = call.path.strip_prefix(disk.path()).ok();
            let path = path.map(|path| Path::new("/").join(path));
            let gone = path.as_deref().filter(|_| *fault == "error=ENOENT");
            let mut found = check(&usual, &run, gone);
            if found.is_ok()
                && *fault == "error=EINTR"
                && rows(&run.output.stdout).as_ref() != Ok(&usual)
            {
                found = Err("an interrupted call changed the answer".into());
            }
            runs += 1;
            met += usize::from(run.met);
            if let Err(why) = found {
                wrong.push(format!(
                    "{name} {} of {path:?}, {fault}: {why}",
                    call.number
                ));
            }
        }
    }
    println!(
        "{runs} runs, {met} of which came to the call, of {} calls of {name}",
        calls.len()
    );
    assert!(
        met * 4 >= runs * 3,
        "only {met} of {runs} runs came to the call"
    );
    assert!(
        wrong.is_empty(),
        "{} of {runs}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

macro_rules! faults {
    ($($test:ident $name:literal $($fault:literal)*;)*) => {
        $(#[test] fn $test() { fail($name, &[$($fault),*]); })*
    };
}

faults! {
    what_cannot_be_opened "openat" "error=EACCES" "error=EIO" "error=ENOENT" "error=EMFILE" "error=ENOMEM" "error=EINTR";
    what_has_no_status "statx" "error=EACCES" "error=EIO" "error=ENOENT" "error=ENOMEM" "error=EINTR";
    what_cannot_be_listed "getdents64" "error=EIO" "error=ENOMEM" "error=EINTR";
    what_cannot_be_read "read" "error=EIO" "error=EINTR" "retval=0";
    what_cannot_be_read_at_an_offset "pread64" "error=EIO" "error=EINTR";
    a_link_that_cannot_be_read "readlinkat" "error=EIO" "error=EACCES" "error=ENOENT" "error=ENOMEM" "error=EINTR";
    attributes_that_cannot_be_listed "flistxattr" "error=EIO" "error=EACCES" "error=ENOMEM" "error=EINTR";
    attributes_that_cannot_be_read "fgetxattr" "error=EIO" "error=ENOMEM" "error=EINTR";
    no_more_memory "mmap" "error=ENOMEM";
    no_more_threads "clone3" "error=EAGAIN";
}
