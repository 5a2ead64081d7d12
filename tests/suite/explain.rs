//! `dsplug explain`: one bundle, everything that an analyst is asked to look at, in three formats.

use std::fs;
use std::process::{Command, Output};

use dsplug_fixtures::plugin::node;
use dsplug_fixtures::signed_bundle::{Form, SignedBundle, cdhash};
use dsplug_fixtures::ticket::ticket;
use dsplug_fixtures::{Disk, PLUGINS, Plugin, Watch, X86_64, mach_header};
use serde_json::Value;

const DSPLUG: &str = env!("CARGO_BIN_EXE_dsplug");
const A: &str = "/Library/DirectoryServices/PlugIns/A.dsplug";

fn explain(disk: &Disk, path: &str, more: &[&str]) -> Output {
    let call = Command::new(DSPLUG)
        .args(["explain", "--root"])
        .arg(disk.path())
        .args(more)
        .arg(path)
        .output();
    call.unwrap()
}

fn json(disk: &Disk, path: &str, more: &[&str]) -> Value {
    let output = explain(disk, path, &[&["--format", "json"], more].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(value: &Value) -> String {
    value.to_string()
}

#[test]
fn every_question_has_its_answer() {
    let disk = Disk::new();
    disk.file("Users/Shared/x", mach_header(X86_64));
    Plugin::new("A")
        .key("CFBundleExecutable", "../../../../../../Users/Shared/x")
        .key("CFBundleIdentifier", "com.apple.A")
        .without_executable()
        .write(disk.plugin(""));
    let report = json(&disk, A, &[]);
    let keys: Vec<&str> = report
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "path",
            "pack",
            "evasions",
            "where",
            "when",
            "owner",
            "origin",
            "package",
            "signature",
            "problems",
            "notes",
            "load",
            "reasons",
            "content",
            "files",
            "folder",
            "exception",
            "changes",
            "events",
            "response",
        ]
    );
    assert_eq!(report["where"]["path"], A);
    assert!(report["when"]["mtime"].as_str().unwrap().ends_with('Z'));
    assert_eq!(report["load"]["executable"], "/Users/Shared/x");
    assert_eq!(report["load"]["load_verdict"], "loadable");
    assert_eq!(report["signature"]["signature_state"], "unsigned");
    let evasions = text(&report["evasions"]);
    assert!(evasions.contains("executable_outside (/Users/Shared/x)"));
    assert!(evasions.contains("identifier (com.apple.A)"));
    let files = report["files"].as_array().unwrap();
    assert!(
        files
            .iter()
            .any(|f| f["path"] == format!("{A}/Contents/Info.plist"))
    );
    let time = |file: &Value| file["mtime"].as_str().unwrap().ends_with('Z');
    assert!(files.iter().all(time), "{files:#?}");
    // The label of the loader since macOS 10.7, and where its code really stands.
    let response = text(&report["response"]);
    assert!(response.contains("system/com.apple.dspluginhelperd"));
    assert!(response.contains("/Users/Shared/x"));
    // No line that is pasted as it stands moves what the attacker has named.
    let steps = report["response"].as_array().unwrap();
    let at = |part: &str| steps.iter().position(|s| text(s).contains(part)).unwrap();
    let (bundle, warning) = (at("dsplug quarantine '"), at("See who else uses it"));
    let both = at("--with-executable --expect-executable ");
    assert!(bundle < warning && warning < both, "{steps:#?}");
    assert!(!text(&steps[bundle]).contains("--with-executable"));
    assert!(text(&report["pack"]).contains("loadable_unverified"));
    assert!(text(&report["exception"]).contains("No exception accepts it."));
}

/// Each path that the tables show names the bundle that they show it for, whatever others are called.
#[test]
fn a_decoy_takes_the_place_of_no_bundle() {
    let disk = Disk::new();
    for (name, identifier) in [
        ("i\u{7f}j.dsplug", "com.example.real"),
        ("i\\x7fj.dsplug", "com.example.decoy"),
    ] {
        Plugin::new("A")
            .key("CFBundleIdentifier", identifier)
            .write_as(disk.plugin(name));
    }
    let folder = A.trim_end_matches("A.dsplug");
    for (name, identifier) in [
        ("i\\x7fj.dsplug", "com.example.real"),
        ("i\\x5cx7fj.dsplug", "com.example.decoy"),
    ] {
        for path in [format!("{folder}{name}"), name.to_owned()] {
            let report = json(&disk, &path, &[]);
            assert_eq!(report["load"]["bundle_identifier"], identifier, "{path}");
        }
    }
}

/// A path through a link of the image names the plug-in that stands there.
#[test]
fn a_path_through_a_link_names_the_bundle() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    disk.link("folder", PLUGINS);
    let through = disk.at("folder/A.dsplug");
    assert_eq!(
        json(&disk, through.to_str().unwrap(), &[])["where"]["path"],
        A
    );
}

#[test]
fn a_stapled_ticket_is_told_with_what_it_lists() {
    let disk = Disk::new();
    let bundle = SignedBundle::new("A", Form::Deep).write(disk.plugin(""));
    let code = cdhash(&fs::read(bundle.join("Contents/MacOS/A")).unwrap());
    for (cdhashes, says) in [
        ([code], "a notarization ticket that lists this code"),
        (
            [[7; 20]],
            "a notarization ticket that does not list this code",
        ),
    ] {
        fs::write(bundle.join("Contents/CodeResources"), ticket(&cdhashes)).unwrap();
        let report = json(&disk, A, &[]);
        assert_eq!(report["signature"]["notarization_ticket"], "1");
        let notes = text(&report["notes"]);
        assert!(
            notes.contains(&format!("Contents/CodeResources \u{2014} {says}")),
            "{notes}"
        );
    }
}

#[test]
fn a_signature_that_does_not_hold_is_among_the_evasions() {
    let disk = Disk::new();
    let bundle = SignedBundle::full("A").write(disk.plugin(""));
    fs::write(
        bundle.join("Contents/Resources/x.dylib"),
        mach_header(X86_64),
    )
    .unwrap();
    let evasions = text(&json(&disk, A, &[])["evasions"]);
    assert!(
        evasions.contains("signature_broken (resource_added"),
        "{evasions}"
    );
    assert!(evasions.contains("unsealed_code (/Library"), "{evasions}");
}

#[test]
fn a_path_is_found_as_the_mac_names_it_and_as_it_stands_here() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let here = disk.plugin("A.dsplug");
    for path in [A, &format!("{A}/"), here.to_str().unwrap()] {
        assert_eq!(json(&disk, path, &[])["path"], A);
    }
    let missing = explain(&disk, "/Library/DirectoryServices/PlugIns/B.dsplug", &[]);
    assert_eq!(missing.status.code(), Some(1));
    let error = String::from_utf8(missing.stderr).unwrap();
    assert!(error.contains("no candidate stands at /Library/DirectoryServices/PlugIns/B.dsplug"));
}

#[test]
fn it_says_what_changed_since_detect_ran() {
    let disk = Disk::new();
    let bundle = Plugin::new("A").write(disk.plugin(""));
    let watch = Watch::new(DSPLUG, disk);
    watch.told();
    let state = watch.state();
    let state = ["--state", state.to_str().unwrap()];
    let changes = || text(&json(&watch.disk, A, &state)["changes"]);
    assert!(
        changes().contains("Nothing of what the query modified compares, since detect ran last.")
    );
    fs::write(bundle.join("Contents/MacOS/A"), mach_header(X86_64)).unwrap();
    assert!(changes().contains("executable_hash: was '") && changes().contains("\"hash: was '"));
    Plugin::new("B").write(watch.disk.plugin(""));
    let new = json(
        &watch.disk,
        "/Library/DirectoryServices/PlugIns/B.dsplug",
        &state,
    );
    assert!(text(&new["changes"]).contains("It was not there"));
}

#[test]
fn a_state_that_is_missing_or_another_s_says_nothing_of_what_was() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let call = ["--state", state.to_str().unwrap()];
    let refused = |part: &str| {
        let output = explain(&disk, A, &call);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(part), "{error}");
    };
    refused("cannot read the state");
    fs::write(&state, r#"{"version": 1, "queries": {}, "snapshots": {}}"#).unwrap();
    refused("remembers nothing of the query modified");
    fs::write(&state, r#"{"of": "another program"}"#).unwrap();
    refused("is damaged");
}

#[test]
fn a_name_alone_finds_the_one_that_bears_it() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    assert_eq!(json(&disk, "A.dsplug", &[])["path"], A);
    let nested = disk.plugin("Base.lproj");
    fs::create_dir(&nested).unwrap();
    Plugin::new("A").write(&nested);
    let output = explain(&disk, "A.dsplug", &[]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("more than one candidate is called A.dsplug"),
        "{error}"
    );
    assert!(
        error.contains(A) && error.contains("Base.lproj/A.dsplug"),
        "{error}"
    );
}

/// An absence is all clear only for what was looked at.
#[test]
fn what_was_not_checked_is_not_said_to_be_well() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let report = json(&disk, A, &[]);
    assert!(text(&report["problems"]).contains("There is no signature that could hold"));
    let line = &report["pack"][0]["line"];
    assert!(line.is_object(), "{line}");
    let all = report["pack"].as_array().unwrap();
    let told = all
        .iter()
        .find(|l| l["query"] == "loadable_unverified")
        .unwrap();
    assert_eq!(told["line"]["signature_state"], "unsigned", "{told}");

    if !dsplug_fixtures::needs_root("a file of exceptions must be root's") {
        return;
    }
    let hash = report["content"]["hash"].as_str().unwrap();
    let entry = format!("<key>id</key><string>a</string><key>hash</key><string>{hash}</string>");
    let list = format!(
        "<?xml version=\"1.0\"?><plist version=\"1.0\"><dict><key>Exceptions</key><array><dict>{entry}</dict></array></dict></plist>"
    );
    disk.file("Library/Application Support/dsplug/exceptions.plist", list);
    let report = json(&disk, A, &[]);
    assert_eq!(report["pack"], Value::Array(Vec::new()));
    assert!(text(&report["evasions"]).contains("does not speak of what is accepted"));
    let shown = String::from_utf8(explain(&disk, A, &[]).stdout).unwrap();
    assert!(
        shown.contains("WHAT THE PACK SAYS OF IT\n  An exception accepts it"),
        "{shown}"
    );
}

/// Names from disk stay text: neither a terminal nor Markdown takes them for anything else.
#[test]
fn a_hostile_name_stays_a_name() {
    let disk = Disk::new();
    let name = "`x` | <b> [l](http:x) \u{1b}[31m\u{202e}'.dsplug";
    Plugin::new("A").write_as(disk.plugin(name));
    let shown = format!(
        "{}/{}",
        "/Library/DirectoryServices/PlugIns", "`x` | <b> [l](http:x) \\x1b[31m\\u{202e}'.dsplug"
    );
    for format in ["text", "markdown", "json"] {
        let output = explain(&disk, &shown, &["--format", format]);
        assert!(output.status.success(), "{output:?}");
        let out = String::from_utf8(output.stdout).unwrap();
        assert!(
            !out.contains('\u{1b}') && !out.contains('\u{202e}'),
            "{format}"
        );
        if format == "markdown" {
            assert!(out.starts_with("# `` /Library"), "{}", &out[..200]);
            assert!(out.contains(r"`` /Library/DirectoryServices/PlugIns/`x`  ``&#124;` <b>"));
        }
        if format == "text" {
            // The shell's own quoting holds the name together.
            assert!(out.contains(r"quarantine '/"), "{out}");
            assert!(out.contains(r"'\''.dsplug' --expect "), "{out}");
        }
    }
}

/// The nodes are those that `CServerPlugin::ProcessURL` registers, as read there: up to what it takes for none.
#[test]
fn the_nodes_that_it_registers_are_told() {
    let told = |nodes: plist::Value| -> Vec<String> {
        let disk = Disk::new();
        Plugin::new("A")
            .key("DSNodesToRegister", nodes)
            .write(disk.at(PLUGINS));
        let report = json(&disk, A, &[]);
        let lines = report["reasons"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line.as_str().unwrap().to_owned());
        lines.filter(|line| line.contains("ode")).collect()
    };
    let lines = |nodes: Vec<plist::Value>| told(plist::Value::Array(nodes));
    let local = || node(["BSD", "Local"]);
    let registered = |node: &str| {
        format!(
            "It registers the node {node} before its code is mapped: look for it in the search policy."
        )
    };
    let ends = "DSNodesToRegister holds what the loader takes for no node: from there on it registers none.";
    assert_eq!(
        lines(vec![local(), node(["LDAPv3"])]),
        [registered("/BSD/Local"), registered("/LDAPv3")]
    );
    // A text, a path that is none, a piece that is none, and one that the loader has no room for.
    let long = "n".repeat(1_024);
    let text_path = plist::Dictionary::from_iter([
        ("DSNodeToRegisterType", plist::Value::from(1)),
        ("DSNodeToRegisterPath", "/BSD/Local".into()),
    ]);
    let odd = [
        "/BSD/Local".into(),
        plist::Value::Dictionary(text_path),
        node([1]),
        node([long.as_str()]),
    ];
    for odd in odd {
        assert_eq!(lines(vec![odd.clone()]), [ends]);
        let after = lines(vec![node(["A"]), odd, local()]);
        assert_eq!(after, [registered("/A"), ends.to_owned()]);
    }
    assert_eq!(told("/BSD/Local".into()), [ends]);
}

#[test]
fn a_folder_that_cannot_be_listed_is_an_error() {
    let disk = Disk::empty();
    disk.file("Library/DirectoryServices/PlugIns", "no directory");
    let output = explain(&disk, A, &[]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("/Library/DirectoryServices/PlugIns")
    );
}

/// What is not known is not said to be refused.
#[test]
fn the_reasons_are_headed_by_what_they_are_for() {
    let disk = Disk::new();
    let heading = |disk: &Disk| {
        let told = explain(disk, A, &[]);
        let told = String::from_utf8(told.stdout).unwrap();
        ["WHY THAT IS NOT KNOWN", "WHY IT WOULD NOT LOAD"].map(|heading| told.contains(heading))
    };
    Plugin::new("A")
        .without("CFBundleShortVersionString")
        .write(disk.at(PLUGINS));
    assert_eq!(heading(&disk), [false, true]);
    Plugin::new("B")
        .factory(&dsplug_fixtures::plugin::factory("A"))
        .write(disk.at(PLUGINS));
    assert_eq!(heading(&disk), [true, false]);
}
