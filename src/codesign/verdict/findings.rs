//! Problems and notes as they gather, within a bound for each code.

use std::borrow::Cow;
use std::collections::HashMap;

use super::problem::{Note, Place, Problem, ProblemCode, SignatureState};

/// Most problems of one code that are kept: whoever wrote a bundle can make as many as they like.
pub(in crate::codesign) const MAX_OF_A_CODE: usize = 200;
/// Most notes that are kept.
const MOST_NOTES: usize = 4 * MAX_OF_A_CODE;

/// What was found about one bundle.
#[derive(Debug, Default)]
pub(in crate::codesign) struct Findings {
    pub problems: Vec<Problem>,
    pub notes: Vec<Note>,
    counts: HashMap<ProblemCode, usize>,
}

impl Findings {
    /// Adds a problem, unless there are many of its kind. The first of a kind that is at least
    /// this weak always stays, so that the state does not depend on the bound.
    pub fn problem(&mut self, problem: Problem) {
        let count = self.counts.entry(problem.code).or_default();
        *count = count.saturating_add(1);
        let count = *count;
        if count == MAX_OF_A_CODE + 1 {
            self.note_once(Note {
                place: Place::Whole,
                text: format!("more problems of the kind {} are not listed", problem.code).into(),
            });
        }
        let weaker = || {
            !self
                .problems
                .iter()
                .any(|p| p.code == problem.code && p.weakens_to <= problem.weakens_to)
        };
        if count <= MAX_OF_A_CODE || weaker() {
            self.problems.push(problem);
        }
    }

    /// Something at `path` that does not hold.
    pub fn broken(&mut self, code: ProblemCode, path: &[u8], detail: impl Into<Cow<'static, str>>) {
        self.problem(Problem::broken(code, Place::Path(path.to_vec()), detail));
    }

    /// Something at `path` that could not be read or judged.
    pub fn unreadable(
        &mut self,
        code: ProblemCode,
        path: &[u8],
        detail: impl Into<Cow<'static, str>>,
    ) {
        self.problem(Problem::unreadable(
            code,
            Place::Path(path.to_vec()),
            detail,
        ));
    }

    /// Something at `path` worth saying.
    pub fn note(&mut self, path: &[u8], text: impl Into<Cow<'static, str>>) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(Note {
                place: Place::Path(path.to_vec()),
                text: text.into(),
            });
        }
    }

    /// A note on all of it, unless it is there.
    fn note_once(&mut self, note: Note) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Takes over so many of another's problems and notes, the first first.
    pub fn take_over(&mut self, from: &mut Self, problems: usize, notes: usize) {
        let problems = problems.min(from.problems.len());
        for problem in from.problems.drain(..problems) {
            self.problem(problem);
        }
        let notes = notes.min(from.notes.len());
        for note in from.notes.drain(..notes) {
            if note.place == Place::Whole {
                self.note_once(note);
            } else if self.notes.len() < MOST_NOTES {
                self.notes.push(note);
            }
        }
    }

    /// Takes in what was found about nested code at `path`: it makes the whole bundle broken, or
    /// unreadable, but not malformed.
    pub fn nested(&mut self, path: &[u8], other: Self) {
        for mut problem in other.problems {
            problem.weakens_to = problem.weakens_to.max(SignatureState::Broken);
            if !matches!(problem.place, Place::Path(_)) {
                if let Place::Offset(offset) = problem.place {
                    problem.detail = format!("at {offset:#x}: {}", problem.detail).into();
                }
                problem.place = Place::Path(path.to_vec());
            }
            self.problem(problem);
        }
        self.notes.extend(other.notes.into_iter().map(|mut note| {
            if !matches!(note.place, Place::Path(_)) {
                note.place = Place::Path(path.to_vec());
            }
            note
        }));
        self.notes.truncate(MOST_NOTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_problems_of_a_kind_are_cut_off_and_the_weakest_stays() {
        let mut findings = Findings::default();
        for _ in 0..1000 {
            findings.unreadable(ProblemCode::ResourceAdded, b"a", "x");
        }
        findings.broken(ProblemCode::ResourceAdded, b"b", "x");
        findings.broken(ProblemCode::ResourceAdded, b"c", "x");
        assert_eq!(findings.problems.len(), MAX_OF_A_CODE + 1);
        assert_eq!(
            findings.problems.iter().map(|p| p.weakens_to).min(),
            Some(SignatureState::Broken)
        );
        assert_eq!(findings.notes.len(), 1);
    }

    /// As if what came later had been found where it stands.
    #[test]
    fn what_is_taken_over_in_parts_is_what_it_would_have_been() {
        let find = |findings: &mut Findings, count: usize, path: &[u8]| {
            for _ in 0..count {
                findings.broken(ProblemCode::ResourceAdded, path, "x");
                findings.note(path, "y");
            }
        };
        for (before, between, after) in [(1, 2, 3), (0, 500, 1), (500, 1, 1), (150, 100, 600)] {
            let nested = || {
                let mut nested = Findings::default();
                find(&mut nested, between, b"b");
                nested
            };
            let mut wanted = Findings::default();
            find(&mut wanted, before, b"a");
            wanted.nested(b"b", nested());
            find(&mut wanted, after, b"c");
            let mut own = Findings::default();
            find(&mut own, before, b"a");
            let (problems, notes) = (own.problems.len(), own.notes.len());
            find(&mut own, after, b"c");
            let mut found = Findings::default();
            found.take_over(&mut own, problems, notes);
            found.nested(b"b", nested());
            found.take_over(&mut own, usize::MAX, usize::MAX);
            assert_eq!(found.problems, wanted.problems);
            let sorted = |findings: &Findings| {
                let mut all: Vec<_> = findings.notes.iter().map(|n| format!("{n:?}")).collect();
                all.sort();
                all
            };
            assert_eq!(sorted(&found), sorted(&wanted));
        }
    }
}
