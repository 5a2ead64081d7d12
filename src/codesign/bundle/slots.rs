//! The files of a bundle that its main executable's special slots bind: Info.plist and the list of
//! sealed resources.

use super::layout::Layout;
use super::signature::Sealed;
use super::view::{BundleEntry, BundleView, EntryKind, MAX_INFO_PLIST_BYTES, MAX_SEAL_BYTES, join};
use crate::codesign::verdict::{CodeFacts, Place, Problem, ProblemCode, SignatureState, slot};

/// Compares the file of one special slot with what each slice binds for it; what differs becomes a
/// problem of that slice.
pub(super) fn compare(view: &BundleView<'_>, layout: &Layout<'_>, slot: u32, code: &mut CodeFacts) {
    let (path, problem_code, name, cap) = if slot == slot::INFO_PLIST {
        let path = layout.info_plist.clone();
        (
            path,
            ProblemCode::InfoPlist,
            "Info.plist",
            MAX_INFO_PLIST_BYTES,
        )
    } else {
        let path = Some(seal_path(layout));
        (
            path,
            ProblemCode::ResourceDirectory,
            "list of sealed resources",
            MAX_SEAL_BYTES,
        )
    };
    let entry = path.as_deref().and_then(|p| view.find(p)).map(|(_, e)| e);
    let place = Place::Path(path.unwrap_or_else(|| layout.root.clone()));
    for slice in &mut code.slices {
        if slice.directories.is_empty() {
            continue;
        }
        let bound = slice.binds(slot);
        let broken =
            |why: &str| Problem::broken(problem_code, place.clone(), format!("the {name} {why}"));
        let problem = match entry {
            None if !view.complete => Some(Problem::unreadable(
                ProblemCode::Unreadable,
                place.clone(),
                format!("the {name} was not found in what could be listed"),
            )),
            None if bound => Some(broken("was signed, and it is missing")),
            // Apple: "code has no resources but signature indicates they must be present".
            None if slot == slot::RESOURCE_DIRECTORY => {
                Some(broken("is missing, and a signed bundle must have one"))
            }
            None => None,
            Some(entry) if entry.kind != EntryKind::File => Some(broken("is no regular file")),
            // Apple passes over an Info.plist that is not bound. Nothing guards it then, and it
            // names the executable: it is a problem here.
            Some(_) if !bound => Some(broken("is not bound by the signature")),
            Some(entry) => match entry.bytes {
                None => Some(not_read(entry, cap, &place, name)),
                Some(bytes) if !slice.matches(slot, bytes) => {
                    Some(broken("is not the one that was signed"))
                }
                Some(_) => None,
            },
        };
        let architecture = slice.architecture.clone();
        slice
            .problems
            .extend(problem.map(|p| p.in_slice(architecture)));
    }
}

/// Where a bundle's seal stands.
pub(super) fn seal_path(layout: &Layout<'_>) -> Vec<u8> {
    join(&layout.base, b"_CodeSignature/CodeResources")
}

/// The word for the file at `path` that a slot binds, after [`compare`].
pub(super) fn word(code: &CodeFacts, path: &[u8], slot: u32) -> Sealed {
    if !code.slices.iter().any(|s| s.binds(slot)) {
        return Sealed::Unsealed;
    }
    let place = Place::Path(path.to_vec());
    match code.all_problems().find(|p| p.place == place) {
        None => Sealed::Sealed,
        Some(p) if p.weakens_to == SignatureState::Unreadable => Sealed::Unknown,
        Some(_) => Sealed::Altered,
    }
}

fn not_read(entry: &BundleEntry<'_>, cap: u64, place: &Place, name: &str) -> Problem {
    if entry.size > cap {
        let detail = format!("the {name} is too large to judge");
        Problem::unreadable(ProblemCode::Limit, place.clone(), detail)
    } else {
        let detail = format!("the {name} could not be read");
        Problem::unreadable(ProblemCode::Unreadable, place.clone(), detail)
    }
}
