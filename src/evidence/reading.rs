//! The reading of a candidate's files, by a few threads where there are many.

use std::num::NonZero;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;

use super::content::{self, NotRead, Reader, Wants};
use super::entry::{Content, Entry};
use super::facts::Evidence;
use super::trouble::{Trouble, tell};
use super::walk::Cursor;
use crate::codesign::{sha1_entries, wants_bytes};
use crate::directory::Dir;
use crate::limits::Budget;
use crate::meta::Kind;
use crate::root::Found;
use crate::text::escape;

/// Bytes of files that are kept whole for the judgement of one candidate.
const MOST_KEPT: u64 = 8 << 20;
/// Threads that read at once, at most: the disk's answer is what takes the time.
const MOST_THREADS: usize = 4;
/// Files for which another thread is worth its while.
const FILES_A_THREAD: usize = 8;
/// Bytes of a seal that are parsed in a microsecond, about.
const PARSED: u64 = 20;
/// Files that a thread takes at once, so that neighbours in a directory stay together.
const BATCH: usize = 4;

/// A file to be read, with what is wanted of it and where what is kept goes.
struct Task<'a> {
    entry: &'a mut Entry,
    wants: Wants<'a>,
    kept: Option<Vec<u8>>,
    /// Why it was not read to its end.
    cut: Option<Trouble>,
}

/// Where the files of a candidate are opened.
struct Place<'a> {
    dir: Option<&'a Dir>,
    file: Option<&'a Found>,
}

/// Reads the files of a candidate that are not known yet, the main executable first; or of them that
/// at one path alone. `before` is what each held when it was read before.
pub fn read_entries(
    evidence: &mut Evidence,
    before: Option<(&Evidence, &[usize])>,
    only: Option<&[u8]>,
    reader: &mut Reader<'_>,
    budget: &Budget,
) {
    let executable = evidence.executable.as_ref();
    let first = executable.and_then(|e| e.relative.clone());
    // Where no signature is judged nothing is held against a seal either.
    let (with_sha1, troubles) = if reader.verifies {
        sealed_by_sha1(evidence, budget)
    } else {
        Default::default()
    };
    let mut entries = std::mem::take(&mut evidence.entries);
    let mut tasks = tasks(
        Arc::make_mut(&mut entries).as_mut_slice(),
        &evidence.candidate.path,
        before,
        &with_sha1,
    );
    tasks.retain(|t| only.is_none_or(|only| only == t.entry.path.as_ref()));
    if let Some(at) = tasks
        .iter()
        .position(|t| Some(t.entry.path.as_ref()) == first.as_deref())
        && let Some(head) = tasks.get_mut(..=at)
    {
        head.rotate_right(1);
    }
    let place = Place {
        dir: evidence.dir(),
        file: evidence.file(),
    };
    let mut batches: Vec<&mut [Task<'_>]> = tasks.chunks_mut(BATCH).rev().collect();
    let cores = cores().saturating_sub(budget.limits.spare_cores);
    let threads = threads_for(batches.len().saturating_mul(BATCH), cores);
    let queue = Mutex::new(std::mem::take(&mut batches));
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            .filter_map(|_| {
                let mut reader = reader.another();
                let (queue, place) = (&queue, &place);
                // Without another thread this one reads all.
                thread::Builder::new()
                    .spawn_scoped(scope, move || {
                        work(queue, place, &mut reader, budget);
                        reader
                    })
                    .ok()
            })
            .collect();
        work(&queue, &place, reader, budget);
        for other in others {
            match other.join() {
                Ok(other) => reader.count(&other),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    drop(queue);
    evidence.troubles.extend(troubles);
    let mut is_late = false;
    for task in tasks {
        if let Some(bytes) = task.kept {
            evidence.kept.insert(task.entry.path.to_vec(), bytes);
        }
        match &task.entry.content {
            // A seal that cannot be read either time is told once.
            Content::Failed(trouble) if !evidence.troubles.contains(trouble) => {
                tell(&mut evidence.troubles, Trouble::clone(trouble));
            }
            Content::Failed(_) => {}
            Content::Unread => match task.cut {
                Some(why) => tell(&mut evidence.troubles, why),
                None => is_late = true,
            },
            Content::Read { .. } => {}
        }
    }
    if is_late {
        evidence.troubles.push(Trouble::Limit(format!(
            "{} was not read to the end: the time of the scan is spent",
            escape(&evidence.candidate.path)
        )));
    }
    evidence.entries = entries;
}

fn is_unread(entry: &Entry) -> bool {
    entry.meta.kind == Kind::File && entry.content == Content::Unread
}

/// The unread files in order of path. Which of them are kept is decided here, so that it does
/// not depend on which thread comes first.
fn tasks<'a>(
    entries: &'a mut [Entry],
    above: &'a [u8],
    before: Option<(&'a Evidence, &[usize])>,
    with_sha1: &[bool],
) -> Vec<Task<'a>> {
    let known = |number: usize, path: &[u8]| {
        let (before, _) = before.filter(|(_, crowded)| crowded.binary_search(&number).is_err())?;
        before.entry(path).map(|old| &old.content)
    };
    let mut left = MOST_KEPT;
    // A scan that judged no signature asked for no SHA-1 either.
    let wants_sha1 = |number: usize| with_sha1.get(number) == Some(&true);
    let lacks_sha1 = |number: usize, entry: &Entry| {
        wants_sha1(number) && entry.content.sha256().is_some() && entry.content.sha1().is_none()
    };
    let files = entries.iter_mut().enumerate();
    let files = files.filter(|(number, e)| is_unread(e) || lacks_sha1(*number, e));
    files
        .map(|(number, entry)| {
            let wanted = wants_bytes(&entry.path, entry.meta.size);
            let fits = left.checked_sub(entry.meta.size).filter(|_| wanted);
            left = fits.unwrap_or(left);
            let wants = Wants {
                bytes: fits.is_some(),
                sha1: wants_sha1(number),
                above,
                known: known(number, &entry.path),
            };
            Task {
                entry,
                wants,
                kept: None,
                cut: None,
            }
        })
        .collect()
}

/// Threads for so many files, on so many cores.
fn threads_for(files: usize, cores: usize) -> usize {
    let most = cores.clamp(1, MOST_THREADS);
    files.div_ceil(FILES_A_THREAD).clamp(1, most)
}

/// Cores that the system lets this process use. Linux reads half a dozen files to tell.
fn cores() -> usize {
    static CORES: LazyLock<usize> =
        LazyLock::new(|| thread::available_parallelism().map_or(1, NonZero::get));
    *CORES
}

fn work(
    queue: &Mutex<Vec<&mut [Task<'_>]>>,
    place: &Place<'_>,
    reader: &mut Reader<'_>,
    budget: &Budget,
) {
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut cursor = place.dir.cloned().map(Cursor::new);
    while let Some(batch) = next() {
        for task in batch {
            if budget.is_late() {
                return;
            }
            read_one(task, place, cursor.as_mut(), reader, budget);
        }
    }
}

fn read_one(
    task: &mut Task<'_>,
    place: &Place<'_>,
    cursor: Option<&mut Cursor>,
    reader: &mut Reader<'_>,
    budget: &Budget,
) {
    let opened = match (cursor, place.file) {
        (Some(cursor), _) => cursor.open_file(&task.entry.path),
        (None, Some(found)) => found.open_file(),
        (None, None) => return,
    };
    let read = opened
        .map_err(NotRead::from)
        .and_then(|file| reader.read(&file, task.entry, task.wants, budget));
    match read {
        Ok(read) => {
            task.entry.content = read.content;
            task.entry.attributes = read.attributes;
            task.kept = read.kept;
        }
        Err(NotRead::Cut(trouble)) if task.entry.content == Content::Unread => {
            task.cut = Some(trouble);
        }
        Err(NotRead::Cut(trouble) | NotRead::Failed(trouble)) => {
            task.entry.content = Content::Failed(trouble.shared(budget));
        }
    }
}

/// For each entry whether some seal in the bundle knows it by its SHA-1, and why more may be. What the seals list besides
/// takes no room.
fn sealed_by_sha1(evidence: &Evidence, budget: &Budget) -> (Vec<bool>, Vec<Trouble>) {
    let (mut is_wanted, mut troubles) = (Vec::new(), Vec::new());
    let Some(dir) = evidence.dir() else {
        return (is_wanted, troubles);
    };
    let entries = evidence.entries.as_slice();
    let mut left = MOST_KEPT;
    for seal in evidence.files() {
        if !seal.path.ends_with(b"_CodeSignature/CodeResources")
            || !wants_bytes(&seal.path, seal.meta.size)
        {
            continue;
        }
        // An attacker may plant any number of them; what is not kept is not judged either.
        match left.checked_sub(seal.meta.size) {
            Some(rest) if !budget.is_late() => left = rest,
            _ => break,
        }
        let read = Cursor::new(dir.clone())
            .open_file(&seal.path)
            .map_err(|e| Trouble::of_entry(&e))
            .and_then(|file| content::read_small(&file, seal.meta.size, &evidence.path_of(seal)));
        match read {
            Ok(bytes) => {
                let of_seal = budget.judging(|| {
                    sha1_entries(&seal.path, &bytes, entries, |entry| entry.path.as_ref())
                });
                budget.take_judging(seal.meta.size / PARSED);
                is_wanted.resize(entries.len(), false);
                for number in of_seal {
                    if let Some(is_wanted) = is_wanted.get_mut(number) {
                        *is_wanted = true;
                    }
                }
            }
            Err(trouble) => troubles.push(trouble),
        }
    }
    (is_wanted, troubles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_files_and_few_cores_take_few_threads() {
        let threads = |files, cores| threads_for(files, cores);
        assert_eq!([threads(0, 8), threads(8, 8), threads(9, 8)], [1, 1, 2]);
        assert_eq!(
            [threads(1_000, 0), threads(1_000, 1), threads(1_000, 3)],
            [1, 1, 3]
        );
        assert_eq!(threads(1_000, 64), MOST_THREADS);
    }
}
