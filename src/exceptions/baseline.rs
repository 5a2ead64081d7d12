//! A baseline: exceptions that pin what is there now.

use plist::{Dictionary, Value};

use super::entry::most_bytes;
use super::offer::executable_digest;
use super::{KEY, MOST_BYTES, MOST_ENTRIES};
use crate::bundle::Bundle;
use crate::codesign::SignatureState;
use crate::scan::Snapshot;
use crate::text::{cut, escape, hex};

/// A list of exceptions, and what could not be pinned.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// The property list, in XML.
    pub plist: Vec<u8>,
    /// One line for each bundle that is left out, and why.
    pub left_out: Vec<String>,
}

/// Pins every bundle of a snapshot by path, digest, kind, place and load verdict, and by its cdhash,
/// signer and team where the signature lends them.
///
/// What would have the whole list refused is left out.
///
/// # Errors
/// When the property list cannot be written.
pub fn write(snapshot: &Snapshot) -> Result<Baseline, plist::Error> {
    let empty = xml(Vec::new())?.len();
    let mut list = List {
        entries: Vec::new(),
        empty,
        left: MOST_BYTES.saturating_sub(length(empty)),
    };
    let mut left_out = Vec::new();
    for bundle in &snapshot.bundles {
        let path = escape(&bundle.evidence.candidate.path);
        let position = list.entries.len().saturating_add(1);
        let pinned = pin(bundle, &path, position).map_err(str::to_owned);
        if let Err(why) = pinned.and_then(|entry| list.add(entry)) {
            left_out.push(format!("{path} is not in the baseline: {why}"));
        }
    }
    let plist = xml(list.entries)?;
    Ok(Baseline { plist, left_out })
}

/// A list that is read whole: whoever plants bundles chooses their names and how many there are.
struct List {
    entries: Vec<Value>,
    /// Bytes of a list without entries.
    empty: usize,
    /// Bytes that are left for more.
    left: u64,
}

impl List {
    /// Takes an entry in, or says why it would keep the list from being read.
    fn add(&mut self, entry: Dictionary) -> Result<(), String> {
        for (key, value) in &entry {
            let text = value.as_string().unwrap_or_default();
            if !text.chars().all(is_xml) {
                return Err(format!("its {key} has a character that XML does not have"));
            }
            let most = most_bytes(key).unwrap_or_default();
            if text.len() > most {
                return Err(format!("its {key} is longer than {most} bytes"));
            }
        }
        if self.entries.len() >= MOST_ENTRIES {
            return Err(format!("a list has {MOST_ENTRIES} entries at most"));
        }
        let entry = Value::Dictionary(entry);
        let alone = xml(vec![entry.clone()]).map_err(|error| error.to_string())?;
        let own = length(alone.len().saturating_sub(self.empty));
        self.left = self.left.checked_sub(own).ok_or_else(|| {
            format!("the list has no room for it: {MOST_BYTES} bytes of one are read")
        })?;
        self.entries.push(entry);
        Ok(())
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn xml(entries: Vec<Value>) -> Result<Vec<u8>, plist::Error> {
    let list = Dictionary::from_iter([(KEY, Value::Array(entries))]);
    let mut plist = Vec::new();
    Value::Dictionary(list).to_writer_xml(&mut plist)?;
    plist.push(b'\n');
    Ok(plist)
}

/// True for what stands in XML 1.0 as it is: a strict reader refuses a whole file for one character that does
/// not, and a lax one may read another text.
fn is_xml(c: char) -> bool {
    !matches!(c, '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}')
}

/// Bytes of a name in an identifier that is made of it.
const MOST_NAME: usize = 128;

fn pin(bundle: &Bundle, path: &str, position: usize) -> Result<Dictionary, &'static str> {
    let digest = bundle.digest.ok_or("it could not be read whole")?;
    if bundle.evidence.is_doubtful {
        return Err("what it is judged by could not be read whole");
    }
    if bundle.evidence.is_blind {
        return Err("something of it, or of what it loads, can be exchanged unseen");
    }
    if bundle.evidence.comes_back {
        return Err("something outside leads back into it and decides which of its files runs");
    }
    if bundle.evidence.has_specials() {
        return Err(
            "a socket, FIFO or device stands in it, or where it leads, and no digest tells one from another",
        );
    }
    if bundle.evidence.is_served() {
        return Err(
            "a volume is mounted on the way to it or to what it loads, and no exception accepts that",
        );
    }
    let signature = &bundle.signature;
    let mut entry = Dictionary::new();
    let mut put = |key: &str, text: String| {
        if !text.is_empty() {
            entry.insert(key.to_owned(), Value::String(text));
        }
    };
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = cut(name.to_owned(), MOST_NAME);
    put("id", format!("baseline-{position} {name}"));
    put("path", path.to_owned());
    put("hash", hex(&digest));
    let executable = bundle.evidence.executable.as_ref();
    if executable.is_some_and(|e| e.is_outside()) {
        let digest = executable_digest(bundle);
        let digest =
            digest.ok_or("its main executable stands outside of it and could not be read")?;
        put("executable_hash", hex(digest));
    }
    if bundle.evidence.reaches_out() {
        let digest = bundle.linked_digest();
        let digest = digest.ok_or(
            "what a link in it leads to, or a resource fork in it, could not be read whole",
        )?;
        put("linked_hash", hex(&digest));
    }
    // The folder's own layout decides what loads without a byte of the bundle being touched.
    put("load_verdict", bundle.load.as_str().to_owned());
    put("kind", bundle.evidence.kind().as_str().to_owned());
    put(
        "discovered_via",
        bundle.evidence.candidate.via.as_str().to_owned(),
    );
    if signature.state.holds() {
        let cdhashes: Vec<String> = signature.cdhashes.iter().map(|c| hex(c)).collect();
        put("cdhash", cdhashes.join(";"));
    }
    if signature.state == SignatureState::Signed && signature.anchor.names_somebody_known() {
        put("signer", signature.signer.clone());
        put("team_identifier", signature.team_identifier.clone());
    }
    put(
        "reason",
        "stood here when the baseline was written".to_owned(),
    );
    Ok(entry)
}
