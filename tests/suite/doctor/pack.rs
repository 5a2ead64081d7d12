//! The pack that osqueryd has, held against ours.

use std::fs;

use dsplug::doctor::{Finding, Severity};
use serde_json::{Value, json};

use super::{Mac, finds, finds_wrong, pack};
use crate::common::pack::text;

/// The pack with that interval for each query.
fn every_interval(interval: &str) -> String {
    let mut pack = pack();
    for (_, query) in pack["queries"].as_object_mut().unwrap() {
        query["interval"] = serde_json::from_str(interval).unwrap();
    }
    pack.to_string()
}

/// The pack that was installed, changed, as a file, written out, and by a pattern.
#[track_caller]
fn of_a_pack(severity: Severity, what: &str, change: impl Fn(&mut Value)) {
    let mut pack = pack();
    change(&mut pack);
    let file = "var/osquery/packs/dsplug.conf";
    let drop_in = "var/osquery/osquery.conf.d/dsplug.conf";
    finds(severity, what, |mac| mac.write(file, &pack.to_string()));
    finds(severity, what, |mac| {
        let written_out = json!({"packs": {"dsplug": pack}});
        mac.write(drop_in, &written_out.to_string());
    });
}

#[test]
fn queries_of_the_pack_that_are_missing_or_do_not_run_are_named() {
    let is_wrong =
        |what: &str, change: &dyn Fn(&mut Value)| of_a_pack(Severity::Wrong, what, change);
    is_wrong("of our queries there is no events, impaired", &|pack| {
        for name in ["events", "impaired"] {
            pack["queries"].as_object_mut().unwrap().remove(name);
        }
    });
    is_wrong("there is no exceptions_changed, ", &|pack| {
        let events = pack["queries"]["events"].take();
        pack["queries"] = json!({"events": events});
    });
    is_wrong(" and 15 more", &|pack| {
        let events = pack["queries"]["events"].take();
        pack["queries"] = json!({"events": events});
    });
    is_wrong(
        "osqueryd does not run events (its interval is not from 1 to 604800 seconds)",
        &|pack| pack["queries"]["events"]["interval"] = json!(604_801),
    );
    is_wrong("does not run events (it has no text `query`)", &|pack| {
        pack["queries"]["events"]["query"] = json!(7);
    });
    is_wrong(
        "does not run events (it is for the platform linux)",
        &|pack| {
            pack["queries"]["events"]["platform"] = json!("linux");
        },
    );
}

#[test]
fn what_an_admin_may_have_changed_in_the_pack_is_a_note() {
    let is_told = |what: &str, change: &dyn Fn(&mut Value)| of_a_pack(Severity::Note, what, change);
    is_told(
        "other than this release has it: events (interval), modified (query, snapshot)",
        &|pack| {
            pack["queries"]["events"]["interval"] = json!("120");
            pack["queries"]["modified"]["query"] = json!("SELECT 1");
            pack["queries"]["modified"]["snapshot"] = json!(true);
        },
    );
    is_told(
        "whether the pack runs here goes by its discovery",
        &|pack| {
            pack["discovery"] = json!(["SELECT 1"]);
        },
    );
    is_told("the small pack: ", &|pack| {
        *pack = serde_json::from_str(&text("packs/dsplug-quiet.conf")).unwrap();
    });
    // What comes to the same.
    let mac = Mac::sound();
    let mut same = pack();
    same["discovery"] = json!([]);
    let events = &mut same["queries"]["events"];
    events["interval"] = json!("60");
    events["snapshot"] = json!("false");
    events.as_object_mut().unwrap().remove("removed");
    events["removed"] = json!(0);
    mac.write("var/osquery/packs/dsplug.conf", &same.to_string());
    assert_eq!(mac.examine(), []);
}

/// `FilesystemConfigPlugin::genPack` of osquery.
#[test]
fn a_pattern_names_the_pack_where_osquery_finds_it_by_it() {
    let drop_in = "var/osquery/osquery.conf.d/dsplug.conf";
    let by = |pattern: &str| json!({"packs": {"*": pattern}}).to_string();
    for pattern in [
        "/var/osquery/packs/other*.conf",
        "/var/osquery/packs/.*",
        "/var/osquery/%",
        "/etc/packs/*",
    ] {
        finds_wrong("neither it nor its drop-ins name the pack", |mac| {
            mac.write(drop_in, &by(pattern));
        });
    }
    for pattern in [
        "/var/osquery/packs/*.conf",
        "/var/osquery/packs/%",
        "/var/osquery/%%",
        "/private/var/osquery/packs/d*",
    ] {
        let mac = Mac::sound();
        mac.write(drop_in, &by(pattern));
        assert_eq!(mac.examine(), [], "{pattern}");
    }
    let mac = Mac::sound();
    fs::create_dir(mac.path("etc")).unwrap();
    mac.write("etc/dsplug.json", &text("packs/dsplug.conf"));
    mac.write(drop_in, &by("/etc/*.json"));
    assert_eq!(mac.examine(), []);
    // A star is no dot at the beginning: osqueryd does not read such a drop-in.
    finds_wrong("neither it nor its drop-ins name the pack", |mac| {
        fs::rename(
            mac.path(drop_in),
            mac.path("var/osquery/osquery.conf.d/.dsplug.conf"),
        )
        .unwrap();
    });
}

#[test]
fn a_pack_of_which_nothing_runs() {
    let query = "{\"query\": \"SELECT 1\"}";
    for (pack, why) in [
        ("{\"queries\": {}}".to_owned(), "a pack without queries"),
        (
            format!("{{\"platform\": \"linux\", \"queries\": {{\"a\": {query}}}}}"),
            "it is for the platform linux",
        ),
        (
            format!("{{\"version\": \"99.0.0\", \"queries\": {{\"a\": {query}}}}}"),
            "it is for osquery 99.0.0",
        ),
        (
            "{\"queries\": {\"a\": {\"query\": \"SELECT 1\", \"platform\": \"linux\"}}}".to_owned(),
            "a pack without queries",
        ),
        (
            "{\"queries\": {\"a\": {}}}".to_owned(),
            "a pack without queries",
        ),
        (
            "{\"queries\": {\"x_epoch\": {\"query\": \"SELECT 1\"}}}".to_owned(),
            "a pack without queries",
        ),
        (every_interval("0"), "a pack without queries"),
        (every_interval("604801"), "a pack without queries"),
        (every_interval("\"700000\""), "a pack without queries"),
        (every_interval("true"), "a pack without queries"),
    ] {
        finds_wrong(why, |mac| mac.write("var/osquery/packs/dsplug.conf", &pack));
        finds_wrong(why, |mac| {
            let written_out = format!("{{\"packs\": {{\"dsplug\": {pack}}}}}");
            mac.write("var/osquery/osquery.conf.d/dsplug.conf", &written_out);
        });
        finds_wrong(why, |mac| {
            mac.write("var/osquery/packs/dsplug.conf", &pack);
            let every = "{\"packs\": {\"*\": \"/var/osquery/packs/*\"}}";
            mac.write("var/osquery/osquery.conf.d/dsplug.conf", every);
        });
    }
}

#[test]
fn pack_not_named() {
    finds_wrong("neither it nor its drop-ins name the pack", |mac| {
        fs::remove_file(mac.path("var/osquery/osquery.conf.d/dsplug.conf")).unwrap();
    });
}

#[test]
fn pack_missing_or_damaged() {
    let pack = "var/osquery/packs/dsplug.conf";
    finds_wrong("packs/dsplug.conf: there is no such file", |mac| {
        fs::remove_file(mac.path(pack)).unwrap()
    });
    finds_wrong("packs/dsplug.conf: not JSON", |mac| {
        mac.write(pack, "{\"queries\": {")
    });
    finds_wrong("a pack without queries", |mac| mac.write(pack, "{}"));
}

/// The configuration that names the pack, with more in it.
fn beside(more: &str) -> String {
    format!("{{\"packs\": {{\"dsplug\": \"/var/osquery/packs/dsplug.conf\"}}, {more}}}")
}

/// That is told of the drop-in that names the pack, whatever else is.
#[track_caller]
fn is_wrong(what: &str, drop_in: &str) {
    let mac = Mac::sound();
    mac.write("var/osquery/osquery.conf.d/dsplug.conf", drop_in);
    let findings = mac.examine();
    let told =
        |finding: &Finding| finding.severity == Severity::Wrong && finding.what.contains(what);
    assert!(findings.iter().any(told), "{drop_in}: {findings:?}");
}

/// Each was seen with osqueryd 5.23.1: it schedules nothing of such a file.
#[test]
fn what_osqueryd_refuses_a_whole_file_for_is_wrong_wherever_it_stands() {
    let zeros = "0".repeat(309);
    for refused in [
        "1e999",
        "0e999",
        "[0.0e310]",
        "[[], {\"b\": [1e999]}]",
        "\"\\ud800\"",
        "[\"\\ud800\"]",
        "{\"\\ud800\": 1}",
        &format!("1{zeros}"),
    ] {
        let more = format!("\"a\": {refused}");
        is_wrong("osquery.conf.d/dsplug.conf: ", &beside(&more));
        finds_wrong("packs/dsplug.conf: ", |mac| {
            let pack = pack().to_string().replacen('{', &format!("{{{more},"), 1);
            mac.write("var/osquery/packs/dsplug.conf", &pack);
        });
    }
    for list in [
        "[{\"dsplug\": \"/var/osquery/packs/dsplug.conf\"}, null]",
        "7",
    ] {
        is_wrong("osquery.conf.d/dsplug.conf: no JSON object", list);
    }
    let mac = Mac::sound();
    let more = "\"a\": [1e200, \"1e999\", 1e-999, \"\\ud83d\\ude00\", null, [{}]]";
    mac.write("var/osquery/osquery.conf.d/dsplug.conf", &beside(more));
    assert_eq!(mac.examine(), []);
}

#[test]
fn a_text_that_a_nul_ends_for_osqueryd_is_wrong() {
    for more in [
        "\"options\": {\"disable_logging\\u0000x\": true}",
        "\"options\\u0000\": {\"disable_logging\": true}",
        "\"views\": [{\"a\": \"b\\u0000c\"}]",
    ] {
        is_wrong("a text with a NUL", &beside(more));
    }
    let packs = "\"dsplug\": \"/var/osquery/packs/dsplug.conf\", \"dsplug\\u0000x\": {}";
    is_wrong("a text with a NUL", &format!("{{\"packs\": {{{packs}}}}}"));
    for (from, to) in [
        (
            "\"queries\":{",
            "\"queries\":{\"events\\u0000x\": {\"query\": \"SELECT 1\"},",
        ),
        (
            "\"platform\":\"darwin\"",
            "\"platform\":\"linux\\u0000darwin\"",
        ),
    ] {
        finds_wrong("packs/dsplug.conf: a text with a NUL", |mac| {
            let sound = pack().to_string();
            let pack = sound.replacen(from, to, 1);
            assert_ne!(pack, sound);
            mac.write("var/osquery/packs/dsplug.conf", &pack);
        });
    }
}

/// Of options and packs osqueryd goes through all, and the last that it can use counts.
#[test]
fn what_stands_twice_in_a_configuration_is_wrong() {
    for (name, more) in [
        (
            "disable_logging",
            "\"options\": {\"disable_logging\": false, \"disable_logging\": true}",
        ),
        (
            "disable_logging",
            "\"options\": {\"disable_logging\": true, \"disable_logging\": null}",
        ),
        (
            "options",
            "\"options\": {}, \"options\": {\"disable_logging\": true}",
        ),
        ("packs", "\"packs\": {}"),
    ] {
        is_wrong(&format!("{name} stands there twice"), &beside(more));
    }
    let path = "\"dsplug\": \"/var/osquery/packs/dsplug.conf\"";
    let packs = format!("{{\"packs\": {{{path}, \"dsplug\": {{}}}}}}");
    is_wrong("dsplug stands there twice", &packs);
    // Of the parts of others nothing is asked.
    let mac = Mac::sound();
    let more = "\"schedule\": {\"a\": {\"interval\": 1, \"interval\": 2}}, \"a\": 1, \"a\": 2";
    mac.write("var/osquery/osquery.conf.d/dsplug.conf", &beside(more));
    assert_eq!(mac.examine(), []);
}

#[test]
fn what_is_neither_a_path_nor_an_object_names_no_pack() {
    for value in ["null", "5", "true", "[\"/var/osquery/packs/dsplug.conf\"]"] {
        let packs = format!("{{\"packs\": {{\"dsplug\": {value}}}}}");
        is_wrong("neither it nor its drop-ins name the pack", &packs);
    }
}
