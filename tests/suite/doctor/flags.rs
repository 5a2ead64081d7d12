//! osqueryd's flags as the doctor reads them.

use dsplug::doctor::Severity;

use super::{FLAGS, Mac, finds, finds_wrong};

#[test]
fn flags() {
    let both = "--extensions_require=dsplug\n--extensions_timeout=10\n";
    finds_wrong("--disable_extensions is set", |mac| {
        mac.write(FLAGS, &format!("{both}--disable_extensions\n"))
    });
    finds_wrong("--extensions_require does not name dsplug", |mac| {
        mac.write(
            FLAGS,
            "--extensions_require=dsplug\n--extensions_require=other\n--extensions_timeout=10\n",
        );
    });
    finds_wrong("no --extensions_timeout", |mac| {
        mac.write(FLAGS, "--extensions_require=dsplug\n")
    });
    finds(
        Severity::Note,
        "--extensions_timeout=3 may be short",
        |mac| {
            mac.write(FLAGS, &format!("{both}--extensions_timeout=3\n"));
        },
    );
    finds_wrong(
        "--extensions_autoload is empty: osqueryd starts no extension",
        |mac| {
            mac.write(FLAGS, &format!("{both}--extensions_autoload=\n"));
        },
    );
    for flag in ["config_path", "config-plugin"] {
        finds_wrong("is empty: osqueryd reads no configuration", |mac| {
            mac.write(FLAGS, &format!("{both}--{flag}=\n"));
        });
    }
    finds(Severity::Note, "from 'tls'", |mac| {
        let flags = format!("{both}--config_plugin=tls\n--config_path=\n");
        mac.write(FLAGS, &flags);
    });
    finds_wrong("/etc/load: has no line", |mac| {
        mac.write(FLAGS, &format!("{both}--extensions_autoload=/etc/load\n"));
    });
}

#[test]
fn flags_that_silence_the_tables() {
    let with = |more: &str| {
        let more = format!("--extensions_require=dsplug\n--extensions_timeout=10\n{more}\n");
        move |mac: &mut Mac| mac.write(FLAGS, &more)
    };
    finds_wrong(
        "--disable_tables names dsplug_events:",
        with("--disable_tables=time,dsplug_events"),
    );
    finds_wrong(
        "--enable_tables does not name dsplug_bundles, ",
        with("--enable_tables=time"),
    );
    finds_wrong("--disable_logging is set", with("--disable_logging=TRUE"));
    finds_wrong("--disable_logging is set", with("--disable-logging"));
    finds_wrong("--disable_extensions is set", with("-disable-extensions"));
    finds_wrong("--schedule_timeout is set", with("--schedule-timeout=10"));
    finds_wrong(
        "--disable_tables names dsplug_events:",
        with("--disable-tables=dsplug_events"),
    );
    finds_wrong(
        "--enable_tables does not name",
        with("--enable-tables=time"),
    );
    finds_wrong("/etc/x: has no line", with("--extensions-autoload=/etc/x"));
    finds_wrong(
        "/packs/dsplug.conf: neither it nor its drop-ins name",
        with("--config-path=/var/osquery/packs/dsplug.conf"),
    );
    finds(Severity::Note, "from 'tls'", with("--config-plugin=tls"));
    finds_wrong(
        "--disable_logging=maybe says neither yes nor no, and osqueryd does not start",
        with("--disable-logging=maybe\n--disable_logging=false"),
    );
    let mac = &mut Mac::sound();
    with("--enable_tables=\n--disable_tables=time\n--disable_logging=false\n--schedule_timeout=0")(
        mac,
    );
    assert_eq!(mac.examine(), []);
}

/// `ProcessOptionsFromStringLocked` of gflags, as osqueryd 5.23.1 was seen to read its file.
#[test]
fn flags_that_osqueryd_does_not_see() {
    let both = "--extensions_require=dsplug\n--extensions_timeout=10\n";
    finds_wrong("the line zzz begins a part for other programs", |mac| {
        mac.write(FLAGS, &format!("{both}zzz\n--utc=true\n"));
    });
    for unseen in [
        format!("zzz\n{both}"),
        format!("# a comment\n--utc=true\0\n{both}"),
        format!("--utc=true\n{both}# end\r"),
    ] {
        let mac = Mac::sound();
        mac.write(FLAGS, &unseen);
        let said = format!("{:?}", mac.examine());
        assert!(
            said.contains("--extensions_require does not name"),
            "{said}"
        );
    }
    for sound in [
        format!("osqueryd\n{both}"),
        format!("zzz osquery*\n{both}"),
        both.replace('\n', "\r\n"),
        format!("{both}zzz\n"),
    ] {
        let mac = Mac::sound();
        mac.write(FLAGS, &sound);
        assert_eq!(mac.examine(), [], "{sound:?}");
    }
}

#[test]
fn lines_that_go_elsewhere_and_flags_that_are_not_read_are_told() {
    let with = |more: &str| {
        let more = format!("--extensions_require=dsplug\n--extensions_timeout=10\n{more}\n");
        move |mac: &mut Mac| mac.write(FLAGS, &more)
    };
    for (flag, what) in [
        (
            "--logger_path=/private/tmp/x",
            "log lines go to /private/tmp/x",
        ),
        ("--osquery-log-dir=/x", "log lines go to /x"),
        (
            "--logger_plugin=mine",
            "--logger_plugin names mine, which is none of osquery's",
        ),
        (
            "--logger-plugin=tls,mine",
            "--logger_plugin names mine, which is none of osquery's",
        ),
        (
            "--flagfile=/x\n--flagfile=",
            "the flags that --flagfile=/x brings are not read here",
        ),
        (
            "--fromenv=disable_logging",
            "the flags that --fromenv=disable_logging brings are not read here",
        ),
        (
            "--tryfromenv=disable_logging",
            "the flags that --tryfromenv=disable_logging brings are not read here",
        ),
    ] {
        finds(Severity::Note, what, with(flag));
    }
    for flag in [
        "--logger_plugin=",
        "--logger_plugin=stdout",
        "--logger_plugin=stdout, stdout",
    ] {
        finds_wrong("--logger_plugin names none that keeps lines", with(flag));
    }
    finds(
        Severity::Note,
        "the option logger_path: log lines go to /x",
        |mac| {
            mac.write(
                "var/osquery/osquery.conf",
                "{\"options\": {\"logger_path\": \"/x\"}}",
            );
        },
    );
    for flag in [
        "--logger_path=/var/log/osquery",
        "--logger_path=/private/var/log/osquery/",
        "--logger_plugin=filesystem",
        "--logger_plugin=tls,filesystem",
        "--logger_plugin=aws_firehose",
        "--logger_plugin=tls\n--logger_path=/x",
        "--flagfile=",
        "--fromenv=",
    ] {
        let mac = &mut Mac::sound();
        with(flag)(mac);
        assert_eq!(mac.examine(), [], "{flag}");
    }
}
