//! A baseline: exceptions that pin what is there now.

use plist::{Dictionary, Value};

use super::KEY;
use super::offer::executable_digest;
use crate::bundle::Bundle;
use crate::codesign::SignatureState;
use crate::scan::Snapshot;
use crate::text::{escape, hex};

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
/// # Errors
/// When the property list cannot be written.
pub fn write(snapshot: &Snapshot) -> Result<Baseline, plist::Error> {
    let mut entries = Vec::new();
    let mut left_out = Vec::new();
    for bundle in &snapshot.bundles {
        let path = escape(&bundle.evidence.candidate.path);
        match pin(bundle, &path, entries.len().saturating_add(1)) {
            Ok(entry) => entries.push(Value::Dictionary(entry)),
            Err(why) => left_out.push(format!("{path} is not in the baseline: {why}")),
        }
    }
    let list = Dictionary::from_iter([(KEY, Value::Array(entries))]);
    let mut plist = Vec::new();
    Value::Dictionary(list).to_writer_xml(&mut plist)?;
    plist.push(b'\n');
    Ok(Baseline { plist, left_out })
}

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
