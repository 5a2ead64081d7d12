//! `dsplug_bundles`: one row per candidate.

use super::column::{TableOf, Value, number, text};
use crate::bundle::Bundle;
use crate::codesign::{CodeFacts, ProblemCode};
use crate::evidence::{Content, Info};
use crate::meta::Meta;
use crate::order;
use crate::property_list::Text;
use crate::text::{escape, hex};

/// The table `dsplug_bundles`.
pub const BUNDLES: TableOf<Bundle> = TableOf {
    name: "dsplug_bundles",
    meaning: "One row per candidate: whatever stands in a plug-in folder and ends in .dsplug in any letter case.",
    bundle: Some("path"),
    columns: &[
        text("path", "Where the candidate stands.", |b| {
            escape(&b.evidence.candidate.path).into()
        }),
        number(
            "mtime",
            "Newest modification time of the candidate or anything in it, in seconds.",
            |b| b.evidence.newest_mtime().map(|(t, _)| t.seconds).into(),
        ),
        text(
            "signer",
            "Common name of the leaf certificate, only when the signature verifies.",
            |b| escape(b.signature.signer.as_bytes()).into(),
        ),
        text(
            "hash",
            "The bundle digest; empty when any part could not be read.",
            |b| digits(b.digest.as_ref().map(<[u8; 32]>::as_slice)),
        ),
        number(
            "ctime",
            "Newest status-change time of the candidate or anything in it, in seconds.",
            |b| b.evidence.newest_ctime().map(|t| t.seconds).into(),
        ),
        number(
            "btime",
            "Creation time of the candidate itself, in seconds; NULL where the file system has none.",
            |b| b.evidence.meta.and_then(|m| m.btime).into(),
        ),
        number(
            "bundle_mtime",
            "Modification time of the candidate itself, in seconds.",
            |b| own(b, |m| m.mtime.seconds.into()),
        ),
        number(
            "bundle_ctime",
            "Status-change time of the candidate itself, in seconds.",
            |b| own(b, |m| m.ctime.seconds.into()),
        ),
        text("newest_path", "The entry that gave mtime.", |b| {
            let newest = b.evidence.newest_mtime();
            newest
                .map_or_else(String::new, |(_, path)| escape(&path))
                .into()
        }),
        text(
            "kind",
            "What the candidate is: directory, file, symlink, other; folder for the row that says what of a plug-in folder was left out.",
            |b| b.evidence.kind_word().into(),
        ),
        text(
            "symlink_target",
            "The text of a candidate that is a symlink, as stored.",
            |b| escape(b.evidence.symlink_target.as_deref().unwrap_or_default()).into(),
        ),
        text(
            "resolved_path",
            "Where it really stands after symlinks, those of its ancestors included.",
            |b| escape(&b.evidence.resolved_path).into(),
        ),
        text(
            "discovered_via",
            "Where in the folder it was found: top_level, contents_resources, resources, support_files, lproj, nested.",
            |b| b.evidence.candidate.via.as_str().into(),
        ),
        text(
            "bundle_identifier",
            "CFBundleIdentifier; anyone can write any identifier.",
            |b| info(b, |i| &i.identifier),
        ),
        text("bundle_name", "CFBundleName.", |b| info(b, |i| &i.name)),
        text("version", "CFBundleShortVersionString.", |b| {
            info(b, |i| &i.version)
        }),
        text(
            "plugin_name",
            "CFPluginNameString, the name by which the loader knows it.",
            |b| info(b, |i| &i.plugin_name),
        ),
        text(
            "info_plist",
            "The Info.plist that CoreFoundation would use.",
            |b| {
                let plist = b.evidence.info_plist.as_ref();
                plist.map_or_else(String::new, |p| escape(&p.path)).into()
            },
        ),
        text(
            "load_verdict",
            "Whether the system would load it: loadable, not_loadable, unknown.",
            |b| b.load.as_str().into(),
        ),
        text(
            "load_reasons",
            "Why not, as words separated by ; in the loader's order; empty when loadable.",
            |b| b.load.words().into(),
        ),
        text(
            "executable",
            "The main executable as CoreFoundation resolves it.",
            |b| {
                let executable = b.evidence.executable.as_ref();
                executable
                    .map_or_else(String::new, |e| escape(&e.path))
                    .into()
            },
        ),
        text("executable_hash", "SHA-256 of the main executable.", |b| {
            digits(
                main_content(b)
                    .and_then(Content::sha256)
                    .map(<[u8; 32]>::as_slice),
            )
        }),
        number(
            "executable_outside",
            "1 when the main executable stands outside the bundle.",
            |b| {
                b.evidence
                    .executable
                    .as_ref()
                    .is_some_and(|e| e.is_outside())
                    .into()
            },
        ),
        text(
            "architectures",
            "Architectures of the main executable, or of a candidate that is a Mach-O file, in file order.",
            |b| {
                code(b)
                    .map_or_else(String::new, |c| c.architectures())
                    .into()
            },
        ),
        text(
            "signature_state",
            "What the signature is worth: unsigned, adhoc, signed, broken (present but does not hold), malformed, unreadable; of several slices the weakest. Revocation and notarization are not checked.",
            |b| b.signature.state.as_str().into(),
        ),
        text(
            "signature_problems",
            "Codes of what does not hold, separated by ;.",
            problems,
        ),
        text(
            "anchor",
            "What the verified chain ends in: apple, developer_id, app_store, untrusted, none.",
            |b| b.signature.anchor.as_str().into(),
        ),
        text(
            "claimed_signer",
            "Common name of the leaf certificate as found, verified or not.",
            |b| escape(b.signature.claimed_signer.as_bytes()).into(),
        ),
        text(
            "authority",
            "Common names of the verified chain, leaf to root, separated by ;.",
            |b| escape(b.signature.authority.join(";").as_bytes()).into(),
        ),
        text(
            "team_identifier",
            "Team identifier of the verified code directory.",
            |b| escape(b.signature.team_identifier.as_bytes()).into(),
        ),
        text(
            "signing_identifier",
            "Identifier of the verified or ad-hoc code directory.",
            |b| escape(b.signature.signing_identifier.as_bytes()).into(),
        ),
        text(
            "cdhash",
            "cdhash of the verified or ad-hoc code directory; of several slices all that differ, in file order, separated by ;.",
            |b| cdhashes(&b.signature.cdhashes).into(),
        ),
        number(
            "signing_time",
            "Secure timestamp of the signature, in seconds; NULL without one.",
            |b| b.signature.signing_time.into(),
        ),
        number(
            "unsealed_files",
            "Files in the bundle that no seal covers.",
            |b| b.signature.unsealed_files.into(),
        ),
        number("uid", "Owner of the candidate.", |b| {
            own(b, |m| m.uid.into())
        }),
        number("gid", "Group of the candidate.", |b| {
            own(b, |m| m.gid.into())
        }),
        text("mode", "Permission bits of the candidate, in octal.", |b| {
            b.evidence
                .meta
                .map_or_else(String::new, |m| m.octal_mode())
                .into()
        }),
        text(
            "writable_by",
            "Who can write it: root, owner, group, others; the weakest of the candidate, of what runs in it or is reached from it, and of the directories above up to the plug-in folder or, of what stands elsewhere and of links that lead there, to the root.",
            |b| b.evidence.writable_by.as_str().into(),
        ),
        text(
            "quarantine",
            "The extended attribute com.apple.quarantine, decoded.",
            |b| b.evidence.attributes.quarantine.as_str().into(),
        ),
        text(
            "provenance",
            "The extended attribute com.apple.provenance, decoded.",
            |b| b.evidence.attributes.provenance.as_str().into(),
        ),
        number("files", "Regular files that it holds.", |b| {
            b.evidence.files().count().into()
        }),
        number("bytes", "Bytes of the regular files that it holds.", |b| {
            b.evidence.bytes().into()
        }),
        number(
            "notarization_ticket",
            "1 when a notarization ticket is stapled to it, 0 when not; no claim that it is notarized.",
            |b| b.signature.notarization_ticket.into(),
        ),
        text(
            "exception",
            "Identifier of the exception that accepts it.",
            |b| escape(b.exception.as_deref().unwrap_or_default().as_bytes()).into(),
        ),
        text(
            "error",
            "What could not be read or was cut off, as code: detail.",
            errors,
        ),
        text(
            "linked_paths",
            "Where links in it, and libraries that code in it names, stand outside of it, separated by ;.",
            |b| {
                let paths: Vec<String> = b.evidence.reach.places.paths().map(escape).collect();
                paths.join(";").into()
            },
        ),
        text(
            "linked_hash",
            "One SHA-256 over what stands there and where each link on the way there leads; empty when nothing stands there and nothing leads back, when it could not be read whole, or where a file has a resource fork.",
            |b| {
                let linked = b.linked_digest();
                let linked = linked.filter(|_| b.evidence.reach.has_content());
                digits(linked.as_ref().map(<[u8; 32]>::as_slice))
            },
        ),
        text(
            "unread",
            "Where one of the digests is missing, or something that it is judged by was not read, or a file has a resource fork: the newest status change of all that belongs to it, the bytes, half a digest of what the file system says of each entry, the day where something there can be exchanged unseen, and why. Where none is, but a socket, FIFO or device stands there: half a digest of which they are. Empty otherwise.",
            |b| b.unread().into(),
        ),
        number(
            "links_outside",
            "How many places outside of it links in it lead to, whether something is there or not.",
            |b| b.evidence.reach.links.into(),
        ),
        text(
            "loads_outside",
            "Where dyld looks for libraries that code in it names, outside of it and of the system's own volume, separated by ;.",
            |b| {
                let paths: Vec<String> = b.evidence.reach.loads.iter().map(|p| escape(p)).collect();
                paths.join(";").into()
            },
        ),
    ],
    each: |snapshot, sink| match snapshot.unreadable() {
        Some(why) => Err(why),
        None => snapshot.bundles.iter().try_for_each(|b| sink(b)),
    },
};

fn own(bundle: &Bundle, get: fn(&Meta) -> Value) -> Value {
    bundle.evidence.meta.as_ref().map_or(Value::Null, get)
}

fn info(bundle: &Bundle, get: fn(&Info) -> &Text) -> Value {
    let info = bundle
        .evidence
        .info_plist
        .as_ref()
        .and_then(|p| p.info.as_ref().ok());
    info.map_or_else(String::new, |i| get(i).shown()).into()
}

/// The code that the architectures are those of: the main executable, or a candidate that is a file.
fn code(bundle: &Bundle) -> Option<&CodeFacts> {
    let alone = || bundle.evidence.entries.first().map(|e| &e.content);
    let alone = || alone().filter(|_| !bundle.evidence.is_bundle());
    main_content(bundle).or_else(alone).and_then(Content::code)
}

fn main_content(bundle: &Bundle) -> Option<&Content> {
    let executable = bundle.evidence.executable.as_ref()?;
    Some(executable.content(&bundle.evidence))
}

/// Lower-case hexadecimal digits, `''` for what is not known.
pub(super) fn digits(bytes: Option<&[u8]>) -> Value {
    bytes.map_or_else(String::new, hex).into()
}

/// cdhashes separated by `;`.
pub(super) fn cdhashes(cdhashes: &[[u8; 20]]) -> String {
    let cdhashes: Vec<String> = cdhashes.iter().map(|c| hex(c)).collect();
    cdhashes.join(";")
}

fn problems(bundle: &Bundle) -> Value {
    let mut codes: Vec<ProblemCode> = bundle.signature.problems.iter().map(|p| p.code).collect();
    order::sort(&mut codes);
    codes.dedup();
    let words: Vec<&str> = codes.into_iter().map(ProblemCode::as_str).collect();
    words.join(";").into()
}

/// The first of the troubles, and how many more there are.
fn errors(bundle: &Bundle) -> Value {
    let troubles = &bundle.evidence.troubles;
    match troubles.split_first() {
        None => "".into(),
        Some((first, [])) => first.to_string().into(),
        Some((first, more)) => format!("{first} (and {} more)", more.len()).into(),
    }
}
