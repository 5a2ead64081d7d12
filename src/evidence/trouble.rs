//! What could not be read, or not whole, and why.

use std::fmt;
use std::sync::{Arc, LazyLock};

use crate::directory::ReadError;
use crate::held::Held;
use crate::limits::Budget;
use crate::property_list::PropertyListError;
use crate::text;

/// Something that could not be read, or not whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// The system refused.
    Unreadable(String),
    /// It changed while it was read, or went.
    Changed(String),
    /// A limit was met.
    Limit(String),
    /// A link leads nowhere, or in a loop.
    BrokenSymlink(String),
    /// It is a socket, FIFO or device where a file or directory is needed.
    NotRegular(String),
    /// A property list is damaged.
    Malformed(String),
    /// A volume is mounted there.
    Mount(String),
    /// It means different things to different Macs.
    Ambiguous(String),
}

impl Trouble {
    /// Every code, with what it means.
    pub const CODES: &'static [(&'static str, &'static str)] = &[
        (
            "ambiguous",
            "Two names in it are one on a Mac's disk, or by different readings, as those of different macOS, one leads to different files, or a list or a layout says different things: which is meant nobody can tell.",
        ),
        ("broken_symlink", "A link leads nowhere, or in a loop."),
        (
            "changed",
            "It changed or went while it was read. The next scan reads it again.",
        ),
        (
            "limit",
            "It meets a limit of what a scan reads, or the scan's time was spent: `dsplug --thorough` reads more.",
        ),
        ("malformed", "A property list is damaged."),
        (
            "mount",
            "A volume is mounted there. In a bundle or a folder it is not searched; what it serves over one, or on the way to one or to what that reaches, is read, and no exception accepts it.",
        ),
        (
            "not_regular",
            "A socket, FIFO or device stands where a file or directory is needed.",
        ),
        (
            "unreadable",
            "The system refused: on a Mac osqueryd needs Full Disk Access. Or the path is by a file's number, which is not followed, or the file system of a Mac has compressed the file (`com.apple.decmpfs`) and nothing unpacks it here.",
        ),
    ];

    /// Why a property list that stands at a path says nothing: damaged when that is certain, and else
    /// past a limit of what is read here.
    pub(super) fn of_list(path: &[u8], error: &PropertyListError) -> Self {
        let detail = format!("{}: {error}", crate::text::escape(path));
        match error {
            PropertyListError::Malformed { .. } => Self::Malformed(detail),
            PropertyListError::Ambiguous(_) => Self::Ambiguous(detail),
            _ => Self::Limit(detail),
        }
    }

    /// The code for it, as the tables show it before the colon.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::Changed(_) => "changed",
            Self::Limit(_) => "limit",
            Self::BrokenSymlink(_) => "broken_symlink",
            Self::NotRegular(_) => "not_regular",
            Self::Malformed(_) => "malformed",
            Self::Mount(_) => "mount",
            Self::Ambiguous(_) => "ambiguous",
        }
    }

    /// Each kind of trouble, in the order of [`CODES`](Self::CODES).
    const ALL: [fn(String) -> Self; 8] = [
        Self::Ambiguous,
        Self::BrokenSymlink,
        Self::Changed,
        Self::Limit,
        Self::Malformed,
        Self::Mount,
        Self::NotRegular,
        Self::Unreadable,
    ];

    /// The same, a long text cut.
    pub(super) fn shortened(self) -> Self {
        self.shortened_to(MOST_TROUBLE)
    }

    fn shortened_to(mut self, most: usize) -> Self {
        let (Self::Unreadable(d)
        | Self::Changed(d)
        | Self::Limit(d)
        | Self::BrokenSymlink(d)
        | Self::NotRegular(d)
        | Self::Malformed(d)
        | Self::Mount(d)
        | Self::Ambiguous(d)) = &mut self;
        *d = text::cut(std::mem::take(d), most);
        self
    }

    /// The same, to be held by what could not be read: with its text where there is room for that, and else
    /// one for all that have its code.
    pub(super) fn shared(self, budget: &Budget) -> Arc<Self> {
        static BY_CODE: LazyLock<Vec<Arc<Trouble>>> = LazyLock::new(|| {
            let all = Trouble::ALL.iter();
            all.map(|of| Arc::new(of(NO_ROOM.into()))).collect()
        });
        let trouble = self.shortened();
        let bytes = size_of::<Self>().saturating_add(trouble.held());
        let code = trouble.code();
        let same = || BY_CODE.iter().find(|known| known.code() == code);
        if budget.take_told(bytes) {
            return Arc::new(trouble);
        }
        same().map_or_else(|| Arc::new(trouble.clone()), Arc::clone)
    }

    fn detail(&self) -> &str {
        match self {
            Self::Unreadable(d)
            | Self::Changed(d)
            | Self::Limit(d)
            | Self::BrokenSymlink(d)
            | Self::NotRegular(d)
            | Self::Malformed(d)
            | Self::Mount(d)
            | Self::Ambiguous(d) => d,
        }
    }

    /// The trouble that an error of the system makes of something that was there before.
    pub(super) fn of_entry(error: &ReadError) -> Self {
        use rustix::io::Errno;
        match error.errno {
            _ if error.is_limit() => Self::Limit(error.to_string()),
            _ if error.is_unfollowed() => Self::Unreadable(error.to_string()),
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NOTSUP => {
                Self::Changed(error.to_string())
            }
            _ => Self::Unreadable(error.to_string()),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.detail())
    }
}

impl Held for Trouble {
    fn held(&self) -> usize {
        self.detail().held()
    }
}

/// What is said where there is no room to say more.
const NO_ROOM: &str = "there is no room for what more could be said; dsplug --thorough has more";
/// Bytes of troubles that each candidate has for nothing.
const FREE: usize = 1_024;
/// Parts of the room for all that one candidate has at most.
const SHARE: usize = 64;
/// Bytes of a text where there is no room for more.
const MOST_WITHOUT_ROOM: usize = 96;

/// Keeps the troubles of one candidate when there is room, and else the first of each code, shortened; gives
/// the bytes that it has taken by now, of which `taken` were before.
pub(super) fn settle(troubles: &mut Vec<Trouble>, taken: usize, budget: &Budget) -> usize {
    let bytes = troubles.held();
    let Some(more) = bytes.checked_sub(taken.max(FREE)) else {
        return taken;
    };
    let most = budget.limits.told.checked_div(SHARE).unwrap_or_default();
    if bytes <= most && budget.take_told(more) {
        return bytes;
    }
    let mut kept: Vec<Trouble> = Vec::new();
    for trouble in std::mem::take(troubles) {
        if kept.iter().all(|known| known.code() != trouble.code()) {
            kept.push(trouble.shortened_to(MOST_WITHOUT_ROOM));
        }
    }
    let no_room = Trouble::Limit(NO_ROOM.into());
    if !kept.contains(&no_room) {
        kept.push(no_room);
    }
    kept.shrink_to_fit();
    *troubles = kept;
    taken
}

/// Troubles of one kind of reading that are told.
pub(super) const MOST_TROUBLES: usize = 64;
/// Bytes of one that are told.
const MOST_TROUBLE: usize = 2_048;

/// Adds a trouble to those of one candidate, unless there are many: whoever wrote it can make as many as
/// there are entries.
pub(super) fn tell(troubles: &mut Vec<Trouble>, trouble: Trouble) {
    if troubles.len().saturating_add(1) < MOST_TROUBLES {
        troubles.push(trouble.shortened());
    } else if troubles.len() < MOST_TROUBLES {
        troubles.push(Trouble::Limit("more could not be read".into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_meaning() {
        let codes = Trouble::ALL.map(|trouble| trouble(String::new()).code());
        let told = Trouble::CODES.iter().map(|(code, _)| *code);
        assert!(told.eq(codes));
    }

    #[test]
    fn what_there_is_no_room_for_keeps_its_code() {
        let budget = Budget::new(crate::limits::Limits {
            told: 512 << 10,
            ..crate::limits::Limits::STANDARD
        });
        let many = || {
            let each = |i: u32| Trouble::Unreadable(format!("{i}{}", "x".repeat(100)));
            let mut many: Vec<_> = (0..30).map(each).collect();
            many.push(Trouble::Changed("it went".into()));
            many
        };
        let mut held = 0;
        let mut cut = 0;
        for _ in 0..200 {
            let mut troubles = many();
            let taken = settle(&mut troubles, 0, &budget);
            assert_eq!(settle(&mut troubles, taken, &budget), taken);
            held += troubles.held();
            if troubles != many() {
                let codes: Vec<_> = troubles.iter().map(Trouble::code).collect();
                assert_eq!(codes, ["unreadable", "changed", "limit"]);
                cut += 1;
            }
        }
        assert!((1..200).contains(&cut), "{cut}");
        assert!(held < (512 << 10) + 200 * 2 * FREE, "{held}");
        let failed = Trouble::Changed("x".repeat(1_000_000)).shared(&budget);
        let other = Trouble::Changed("y".repeat(1_000_000)).shared(&budget);
        assert!(Arc::ptr_eq(&failed, &other));
    }
}
