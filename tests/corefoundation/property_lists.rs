//! Property lists: what CoreFoundation reads of each is what is read here, and what it refuses is
//! refused.

use std::io::Cursor;

use dsplug::property_list::{Bounds, PropertyListError, Value, parse};
use serde_json::Value as Json;

use crate::cases;

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
        PropertyListError::NotKnown(why) => why.contains("utf-7"),
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
    // Nested `plist` tags, UTF-7, and lists of more values than are read here.
    assert!(open <= 8, "{open} left open");
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
            if let (1, Some(Theirs::Integer(number))) = (values.len(), values.get("CF$UID")) {
                return Value::Uid(number.as_unsigned().unwrap().try_into().unwrap());
            }
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
/// nothing of a text that is no Unicode.
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
        Value::String(text) => format!("{:?}", text.as_str()),
        value => format!("{value:?}"),
    }
}
