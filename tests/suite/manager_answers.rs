//! What osquery's extension manager answers, good and hostile, to a client of ours.
//!
//! The answers are written out here by the specification of Thrift's binary protocol and
//! `osquery.thrift`, without our own encoder.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test's panic is its report"
)]

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;
use std::time::Duration;

use dsplug::extension::manager::{Error, Manager};
use proptest::prelude::*;
use tempfile::TempDir;

const STRUCT: u8 = 12;
const MAP: u8 = 13;
const LIST: u8 = 15;
const I32: u8 = 8;
const I64: u8 = 10;
const TEXT: u8 = 11;

/// Asks a manager that has one answer for whoever calls, and then hangs up.
fn ask<T>(answer: &[u8], call: impl FnOnce(&mut Manager) -> Result<T, Error>) -> Result<T, Error> {
    let disk = TempDir::new().unwrap();
    let socket = disk.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            assert_ne!(stream.read(&mut request).unwrap(), 0);
            // Who has read enough hangs up.
            let _ = stream.write_all(answer);
        });
        call(&mut connect(&socket))
    })
}

fn connect(socket: &Path) -> Manager {
    Manager::connect(socket, Duration::from_secs(20)).unwrap()
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat()
}

fn field(of: u8, number: u16, value: &[u8]) -> Vec<u8> {
    [&[of], number.to_be_bytes().as_slice(), value].concat()
}

/// An answer to the first call of a connection; `kind` 2 is a reply, 3 an exception.
fn message(kind: u8, call: &str, sequence: u32, body: &[u8]) -> Vec<u8> {
    [
        &[0x80, 1, 0, kind],
        text(call).as_slice(),
        &sequence.to_be_bytes(),
        body,
        &[0],
    ]
    .concat()
}

fn reply(call: &str, of: u8, result: &[u8]) -> Vec<u8> {
    message(2, call, 1, &field(of, 0, result))
}

fn status(code: u32, message: &str) -> Vec<u8> {
    [
        field(I32, 1, &code.to_be_bytes()),
        field(TEXT, 2, &text(message)),
        field(I64, 3, &7_u64.to_be_bytes()),
        vec![0],
    ]
    .concat()
}

fn query_answer() -> Vec<u8> {
    let row = |a: &str, b: &str| {
        let pairs = [text("a"), text(a), text("b"), text(b)].concat();
        [&[TEXT, TEXT, 0, 0, 0, 2], pairs.as_slice()].concat()
    };
    let rows = [vec![MAP, 0, 0, 0, 2], row("1", "x"), row("", "é")].concat();
    let body = [
        field(STRUCT, 1, &status(0, "OK")),
        field(LIST, 2, &rows),
        vec![0],
    ];
    reply("query", STRUCT, &body.concat())
}

fn extensions_answer() -> Vec<u8> {
    let info = |name: &str| {
        let fields = [field(TEXT, 1, &text(name)), field(TEXT, 2, &text("5.23.1"))];
        [fields.concat(), field(TEXT, 4, &text("0.0.0")), vec![0]].concat()
    };
    let entries = [
        vec![I64, STRUCT, 0, 0, 0, 2],
        0_u64.to_be_bytes().to_vec(),
        info("core"),
        9_u64.to_be_bytes().to_vec(),
        info("dsplug"),
    ];
    reply("extensions", MAP, &entries.concat())
}

#[test]
fn good_answers_are_read() {
    ask(&reply("ping", STRUCT, &status(0, "OK")), Manager::ping).unwrap();

    let rows = ask(&query_answer(), |m| m.query("SELECT 1")).unwrap();
    let values: Vec<Vec<&str>> = rows
        .iter()
        .map(|row| row.values().map(String::as_str).collect())
        .collect();
    assert_eq!(values, [["1", "x"], ["", "é"]]);

    let extensions = ask(&extensions_answer(), Manager::extensions).unwrap();
    let names: Vec<(i64, &str, &str)> = extensions
        .iter()
        .map(|(uuid, e)| (*uuid, e.name.as_str(), e.version.as_str()))
        .collect();
    assert_eq!(names, [(0, "core", "5.23.1"), (9, "dsplug", "5.23.1")]);
}

#[test]
fn what_the_manager_refuses_is_said_in_its_words() {
    let said = |answer: &[u8]| ask(answer, Manager::ping).unwrap_err().to_string();
    let refusal = said(&reply("ping", STRUCT, &status(1, "not now")));
    assert_eq!(refusal, "ping was refused: not now");
    let exception = message(3, "ping", 1, &field(TEXT, 1, &text("Invalid method name")));
    assert_eq!(said(&exception), "ping was refused: Invalid method name");
    let nothing = said(&message(2, "ping", 1, &[]));
    assert_eq!(nothing, "ping was refused: an answer without a result");
}

#[test]
fn an_answer_to_another_call_is_none() {
    let good = field(STRUCT, 0, &status(0, "OK"));
    for (call, sequence) in [("ping", 2), ("query", 1)] {
        let error = ask(&message(2, call, sequence, &good), Manager::ping).unwrap_err();
        assert!(
            error.to_string().contains("belongs to another call"),
            "{error}"
        );
    }
}

/// Every length and count of an answer, as two gigabytes, as four, and as a negative number.
#[test]
fn a_hostile_length_is_an_error() {
    let answer = query_answer();
    // The name of the call; the status's message; the list; the first row; its first key.
    let after = |what: &[u8]| {
        let at = answer.windows(what.len()).position(|w| w == what).unwrap();
        at + what.len()
    };
    let lengths = [
        4,
        after(&[TEXT, 0, 2]),
        after(&[LIST, 0, 2, MAP]),
        after(&[TEXT, TEXT]),
        after(&[TEXT, TEXT, 0, 0, 0, 2]),
    ];
    for at in lengths {
        for length in [[0x7F, 0xFF, 0xFF, 0xFF], [0xFF; 4], [0x80, 0, 0, 0]] {
            let mut hostile = answer.clone();
            hostile[at..at + 4].copy_from_slice(&length);
            let error = ask(&hostile, |m| m.query("SELECT 1")).unwrap_err();
            assert!(matches!(error, Error::Call("query", ..)), "{at}: {error}");
        }
    }
}

#[test]
fn a_part_of_an_answer_is_an_error() {
    for (answer, call) in [
        (query_answer(), "query"),
        (extensions_answer(), "extensions"),
    ] {
        for length in 0..answer.len() {
            let part = &answer[..length];
            let error = match call {
                "query" => ask(part, |m| m.query("SELECT 1")).unwrap_err(),
                _ => ask(part, Manager::extensions).unwrap_err(),
            };
            assert!(matches!(error, Error::Call(..)), "{length}: {error}");
        }
    }
}

proptest! {
    /// Whatever stands in an answer, there is a result or an error, and soon.
    #[test]
    fn an_altered_answer_ends_the_call(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        is_query in any::<bool>(),
    ) {
        let mut answer = if is_query { query_answer() } else { extensions_answer() };
        for (at, byte) in changes {
            let at = at.index(answer.len());
            answer[at] = byte;
        }
        if is_query {
            let _ = ask(&answer, |m| m.query("SELECT 1"));
        } else {
            let _ = ask(&answer, Manager::extensions);
        }
    }
}
