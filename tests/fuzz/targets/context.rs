//! A call of a table over the extension's socket: whatever context osquery sends, all rows come.
//!
//! The extension reads no constraints: it asks osquery for none, and SQLite filters. This is the
//! whole of it, beside a manager that only registers.
#![no_main]

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use dsplug::extension::{NAME, Options, Rows, Source, TableSpec, run};
use dsplug::table::Type as Column;
use dsplug_fixtures::Disk;
use dsplug_fuzz::call;
use libfuzzer_sys::fuzz_target;
use wire::{Kind, Message, Output, Type};

#[allow(
    dead_code,
    missing_docs,
    reason = "the target speaks with what it checks"
)]
#[path = "../../../src/extension/wire.rs"]
mod wire;

/// As much as an answer has.
const LIMIT: u64 = 4 << 20;

/// Two rows that are always the same.
struct Two;

impl Source for Two {
    fn tables(&self) -> Vec<TableSpec> {
        let columns = vec![("path", Column::Text), ("size", Column::BigInt)];
        vec![TableSpec {
            name: "fuzzed",
            columns,
        }]
    }

    fn generate(&self, _: &str, rows: &mut Rows) -> Result<(), String> {
        for path in ["/a", "/b"] {
            rows.push(&[("path", path.to_owned()), ("size", "1".to_owned())]);
        }
        Ok(())
    }
}

/// The disk of the sockets, where the extension listens, and what it answers to a call without a
/// context.
static EXTENSION: LazyLock<(Disk, PathBuf, Vec<u8>)> = LazyLock::new(|| {
    let disk = Disk::empty();
    let (socket, front) = (disk.at("m"), disk.at("m.7"));
    let listener = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || {
        // It holds one connection while it tries another.
        let take = |stream: UnixStream| drop(thread::spawn(move || manage(&stream)));
        listener.incoming().flatten().for_each(take);
    });
    let day = Duration::from_secs(86_400);
    let options = Options {
        socket,
        timeout: day,
        interval: day,
    };
    thread::spawn(|| run(options, Arc::new(Two)));
    let rows = loop {
        match ask(&front, &call("fuzzed", "generate", None)) {
            Some(rows) if !rows.is_empty() => break rows,
            _ => thread::sleep(Duration::from_millis(20)),
        }
    };
    assert!(
        [b"/a", b"/b"]
            .iter()
            .all(|path| rows.windows(2).any(|w| w == *path))
    );
    // The extension's own hook survives a panic; here it is a finding.
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        std::process::abort();
    }));
    (disk, front, rows)
});

fuzz_target!(|bytes: &[u8]| {
    let (_, front, rows) = &*EXTENSION;
    // To that it obeys.
    if bytes.windows(8).any(|window| window == b"shutdown") {
        return;
    }
    match bytes {
        [0, action, context @ ..] => {
            let action = ["generate", "columns", "insert", "delete"][usize::from(action % 4)];
            let answer = ask(front, &call("fuzzed", action, Some(context))).unwrap();
            if action == "generate" {
                assert_eq!(answer, *rows);
            }
        }
        _ => {
            let answers = ask(front, bytes).unwrap_or_default();
            let mut rest = answers.as_slice();
            while !rest.is_empty() {
                let answer = Message::read(&mut rest, LIMIT).unwrap();
                assert_ne!(answer.header.kind, Kind::Call);
            }
        }
    }
});

/// Sends a request and nothing behind it; all that comes back until the extension hangs up.
fn ask(front: &Path, request: &[u8]) -> Option<Vec<u8>> {
    let mut stream = UnixStream::connect(front).ok()?;
    // Who does not read to the end is told by an error, and that is no matter here.
    let _ = stream.write_all(request);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Some(answer)
}

/// The manager: it knows the extension by the number 7.
fn manage(mut stream: &UnixStream) {
    while let Ok(request) = Message::read(&mut stream, LIMIT) {
        let header = request.header;
        let mut answer = Output::message(Kind::Reply, &header.name, header.sequence);
        if header.name == "extensions" {
            let known = i32::from(KNOWN.load(Relaxed));
            answer.field(Type::Map, 0).raw(&[10, 12]).i32(known);
            if known == 1 {
                answer.i64(7).field(Type::Text, 1).text(NAME).stop();
            }
        } else {
            KNOWN.fetch_or(header.name == "registerExtension", Relaxed);
            answer.field(Type::Struct, 0);
            answer
                .field(Type::I32, 1)
                .i32(0)
                .field(Type::I64, 3)
                .i64(7)
                .stop();
        }
        answer.stop();
        if stream.write_all(answer.bytes()).is_err() {
            return;
        }
    }
}

/// True once the extension has registered.
static KNOWN: AtomicBool = AtomicBool::new(false);
