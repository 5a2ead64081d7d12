//! Property lists: what CoreFoundation reads of each is what is read here, and what it refuses is
//! refused.

use std::io::Cursor;
use std::process::Command;

use dsplug::property_list::{Bounds, PropertyListError, Text, Value, parse, parse_exact};
use serde_json::Value as Json;

use super::cases;

/// One list, and what CoreFoundation made of it.
struct Case {
    name: String,
    list: Vec<u8>,
    answer: Answer,
}

enum Answer {
    /// It wrote the value that it read as this.
    Read(Vec<u8>),
    /// It read a value that it does not write.
    Unwritten,
    Refused,
    /// It ran until it was stopped.
    Crash,
}

fn all() -> Vec<Case> {
    let mut lines = cases::read("property_lists.jsonl", "DSPLUG_COREFOUNDATION_LISTS").into_iter();
    let pieces: Vec<String> =
        serde_json::from_value(lines.next().unwrap()["pieces"].take()).unwrap();
    let long = |text: &Json| -> String {
        let piece = |c: char| {
            let number = usize::try_from(u32::from(c)).unwrap().checked_sub(0xe000);
            match number.and_then(|number| pieces.get(number)) {
                Some(piece) => piece.clone(),
                None => c.to_string(),
            }
        };
        // A piece may be made of others.
        let once: String = text.as_str().unwrap().chars().map(piece).collect();
        once.chars().map(piece).collect()
    };
    lines
        .map(|case| Case {
            name: case["name"].as_str().unwrap().to_owned(),
            list: long(&case["list"])
                .chars()
                .map(|c| u8::try_from(u32::from(c)).unwrap())
                .collect(),
            answer: match &case["xml"] {
                Json::Null if case["crash"] == true => Answer::Crash,
                Json::Null => Answer::Refused,
                Json::String(_) => Answer::Read(long(&case["xml"]).into_bytes()),
                _ => Answer::Unwritten,
            },
        })
        .collect()
}

/// Why a list that CoreFoundation reads gives no value here, and is told to be unknown.
fn is_left_open(error: &PropertyListError) -> bool {
    match error {
        PropertyListError::TooLarge(_) => true,
        PropertyListError::NotKnown(why) => why.starts_with("its encoding"),
        _ => false,
    }
}

#[test]
fn what_corefoundation_reads_is_read_with_its_values() {
    let mut open = 0;
    let mut wrong = Vec::new();
    for case in all() {
        let read = parse(&case.list, &Bounds::STANDARD);
        let what = match (&case.answer, &read) {
            (Answer::Read(xml), Ok(value)) => {
                let (ours, theirs) = (text(value), written(xml).as_ref().map(text));
                if theirs.is_none_or(|theirs| theirs == ours) {
                    continue;
                }
                format!("{ours}, not as in\n{}", String::from_utf8_lossy(xml))
            }
            (Answer::Read(_) | Answer::Unwritten, Err(error)) if is_left_open(error) => {
                open += 1;
                continue;
            }
            (Answer::Read(_) | Answer::Unwritten, Err(error)) => format!("refused: {error}"),
            (Answer::Refused, Ok(value)) => format!("read: {}", text(value)),
            (Answer::Crash, Err(error)) if error.is_certain() => format!("certain: {error}"),
            _ => continue,
        };
        wrong.push(format!("{}: {what}", case.name));
    }
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // Other encodings than those that are decoded here, and lists of more values than are read.
    assert!(open <= all().len() / 50, "{open} left open");
}

/// The value that CoreFoundation wrote, by another reader where that takes it; `None` where it wrote
/// what it does not read itself: a date that is no number.
fn written(xml: &[u8]) -> Option<Value> {
    let other = plist::Value::from_reader_xml(Cursor::new(xml));
    other
        .map(converted)
        .ok()
        .or_else(|| parse(xml, &Bounds::STANDARD).ok())
}

fn converted(value: plist::Value) -> Value {
    use plist::Value as Theirs;
    match value {
        Theirs::Array(values) => Value::Array(values.into_iter().map(converted).collect()),
        Theirs::Boolean(value) => Value::Boolean(value),
        Theirs::Data(bytes) => Value::Data(bytes),
        Theirs::Dictionary(values) => {
            let entries = values
                .into_iter()
                .map(|(key, value)| (key, converted(value)));
            Value::Dictionary(entries.collect())
        }
        Theirs::Integer(number) => Value::Integer(match number.as_signed() {
            Some(number) => number.into(),
            None => number.as_unsigned().unwrap().into(),
        }),
        Theirs::Real(number) => Value::Real(number),
        Theirs::String(text) => Value::String(text.into()),
        value => {
            let mut xml = Vec::new();
            value.to_writer_xml(&mut xml).unwrap();
            parse(&xml, &Bounds::STANDARD).unwrap()
        }
    }
}

/// A value as CoreFoundation writes it: without keys that are no text, dates to the second, and
/// a text up to the first surrogate that stands alone.
fn text(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("[{}]", values.iter().map(text).collect::<String>()),
        Value::Dictionary(values) => {
            let pairs = values
                .iter()
                .map(|(key, value)| format!("{key:?}{}", text(value)));
            format!("{{{}}}", pairs.collect::<String>())
        }
        Value::Date(date) => match date.unix_seconds() {
            // What it writes of a later one has overflowed.
            Some(seconds @ ..0x40_0000_0000_0000) => format!("{seconds}"),
            _ => "a date".to_owned(),
        },
        Value::String(text) => {
            let whole = text.as_bytes().utf8_chunks().next();
            format!("{:?}", whole.map_or("", |chunk| chunk.valid()))
        }
        // So it writes one, whichever it is.
        Value::Uid(number) => format!("{{\"CF$UID\"Integer({number})}}"),
        // It has the sign of a zero, and does not write it.
        Value::Real(0.0) => "0".to_owned(),
        value => format!("{value:?}"),
    }
}

/// What `plistlib` reads of the lists in its arguments, a line each: `-` for none.
const PYTHON: &str = r#"
import datetime, plistlib, struct, sys
def text(v):
    if v is True or v is False: return "b%d" % v
    if isinstance(v, plistlib.UID): return "u%d" % v.data
    if isinstance(v, int): return "i%d" % v
    if isinstance(v, float): return "r" + struct.pack(">d", v).hex()
    if isinstance(v, str): return "s" + v.encode().hex()
    if isinstance(v, bytes): return "d" + v.hex()
    if isinstance(v, datetime.datetime): return "t"
    if isinstance(v, list): return "[" + "".join(text(e) + "," for e in v) + "]"
    return "{" + "".join(k + text(e) + "," for k, e in sorted((k.encode().hex(), e) for k, e in v.items())) + "}"
for path in sys.argv[1:]:
    try:
        with open(path, "rb") as f: print(text(plistlib.load(f)))
    except Exception: print("-")
"#;

/// What a signature would be judged by is read by a second reader in the same way, where that reads
/// it at all.
#[test]
fn what_is_read_exactly_is_what_python_reads() {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    let mut ours = Vec::new();
    // A return is a new line to XML, and itself to CoreFoundation: a file's name may hold one.
    let cases = all().into_iter().filter(|case| !case.list.contains(&b'\r'));
    for case in cases {
        if let Ok(value) = parse_exact(&case.list, &Bounds::STANDARD) {
            let path = folder.path().join(format!("{}", paths.len()));
            std::fs::write(&path, &case.list).unwrap();
            paths.push(path);
            ours.push((case.name, plain(&value)));
        }
    }
    let run = Command::new("python3")
        .arg("-c")
        .arg(PYTHON)
        .args(&paths)
        .output();
    let output = run.expect("python3");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let theirs = String::from_utf8(output.stdout).unwrap();
    let mut both = 0;
    for ((name, ours), theirs) in ours.iter().zip(theirs.lines()) {
        if theirs != "-" {
            assert_eq!(ours, theirs, "{name}");
            both += 1;
        }
    }
    assert!(
        both * 2 > ours.len(),
        "only {both} of {} are read by both",
        ours.len()
    );
}

/// A value in the words of [`PYTHON`].
fn plain(value: &Value) -> String {
    let hex = |bytes: &[u8]| dsplug::text::hex(bytes);
    match value {
        Value::Boolean(value) => format!("b{}", u8::from(*value)),
        Value::Uid(number) => format!("u{number}"),
        Value::Integer(number) => format!("i{number}"),
        Value::Real(number) => format!("r{}", hex(&number.to_be_bytes())),
        Value::String(text) => format!("s{}", hex(text.as_bytes())),
        Value::Data(bytes) => format!("d{}", hex(bytes)),
        Value::Date(_) => "t".to_owned(),
        Value::Array(values) => {
            let values = values.iter().map(|value| plain(value) + ",");
            format!("[{}]", values.collect::<String>())
        }
        Value::Dictionary(values) => {
            let entry = |(key, value): (&Text, &Value)| hex(key.as_bytes()) + &plain(value) + ",";
            format!("{{{}}}", values.iter().map(entry).collect::<String>())
        }
        Value::Null | Value::Set(_) => "no value of an exact reading".to_owned(),
    }
}

/// Lists that a program damaged, by the hundred thousand bytes of each form: none makes the reader
/// stop, and none costs it more than its bounds.
#[test]
fn damaged_lists_are_read_or_refused() {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % u64::try_from(below).unwrap()).unwrap()
    };
    let pieces: [&[u8]; 12] = [
        b"<",
        b">",
        b"</dict>",
        b"<![CDATA[",
        b"&#",
        b"\"",
        b"\\U",
        b"{",
        b"(",
        b"\0",
        b"\xff\xff\xff\xff",
        b"\xdf\x11",
    ];
    let lists: Vec<Vec<u8>> = all().into_iter().map(|case| case.list).collect();
    let form = |list: &[u8]| match list {
        [b'b', b'p', ..] => 0,
        [b'<', ..] => 1,
        _ => 2,
    };
    let mut bytes = [0_usize; 3];
    while bytes.iter().any(|bytes| *bytes < 100_000) {
        let mut list = lists[next(lists.len())].clone();
        let form = form(&list);
        if list.len() > 3_000 || bytes[form] >= 100_000 {
            continue;
        }
        bytes[form] += list.len();
        for _ in 0..=next(4) {
            let at = next(list.len().max(1)).min(list.len());
            match next(4) {
                0 => list.truncate(at),
                1 => {
                    let piece = pieces[next(pieces.len())];
                    drop(list.splice(at..at, piece.iter().copied()));
                }
                2 => {
                    let end = list.len().min(at + next(12));
                    drop(list.drain(at..end));
                }
                _ => list
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|b| *b = u8::try_from(next(256)).unwrap()),
            }
        }
        let lenient = parse(&list, &Bounds::STANDARD);
        // Where the exact reading takes it, the other takes it for the same.
        if let Ok(exact) = parse_exact(&list, &Bounds::STANDARD) {
            assert_eq!(format!("{:?}", lenient.unwrap()), format!("{exact:?}"));
        }
    }
}
