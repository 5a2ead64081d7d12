//! An event: a bundle appeared, changed or went, with what it was.
//!
//! Plain data, as the journal keeps it and `dsplug_events` shows it. Text from disk is escaped
//! already. What a bundle was is its `state`.

mod change;
mod digits;
mod state;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::held::{self, Held as _};
pub use change::{LINKED, REWRITTEN, is_minor, is_paced};
pub use digits::Digits;
pub use state::{NOT_LOOKED, State};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It stands where nothing stood.
    Appeared,
    /// It is not what it was.
    Changed,
    /// It stands there no more.
    Gone,
    /// No bundle: the list of exceptions is another.
    Exceptions,
    /// No bundle: so many more came and went in a folder with nothing in them, with what was told before or before a
    /// look could come, or had stood there and went.
    More,
    /// No bundle: of the events up to this one some are no longer kept.
    Dropped,
}

impl Action {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Appeared => "appeared",
            Self::Changed => "changed",
            Self::Gone => "gone",
            Self::Exceptions => "exceptions",
            Self::More => "more",
            Self::Dropped => "dropped",
        }
    }
}

/// How it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// The system told that something was written.
    Watched,
    /// By a look that the clock asked for.
    Scan,
    /// By the first look: it happened while nothing ran.
    Start,
}

impl Seen {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Watched => "watched",
            Self::Scan => "scan",
            Self::Start => "start",
        }
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number, which grows and is never used twice; 0 until the journal has given it one.
    #[serde(skip)]
    pub id: i64,
    /// When it was seen, in seconds of Unix time.
    pub time: i64,
    /// What happened.
    pub action: Action,
    /// The bundle's path.
    pub path: String,
    /// What changed, as words separated by `;`.
    pub changed: String,
    /// How it was seen; nothing for what is no bundle's.
    pub seen: Option<Seen>,
    /// What the bundle is, or was before it went.
    pub state: Arc<State>,
    /// The digest before.
    pub previous_hash: Digits,
    /// How long what went had stood, in milliseconds.
    pub stood_ms: Option<i64>,
    /// Where a copy is kept.
    pub kept: String,
}

impl Event {
    /// What happened to a path at a time, in seconds of Unix time, that is in a state.
    pub fn new(time: i64, action: Action, path: String, state: Arc<State>) -> Self {
        Self {
            id: 0,
            time,
            action,
            path,
            changed: String::new(),
            seen: None,
            state,
            previous_hash: Digits::default(),
            stood_ms: None,
            kept: String::new(),
        }
    }

    /// Bytes that it takes in memory, about.
    pub fn weight(&self) -> usize {
        size_of::<Self>().saturating_add(self.held())
    }
}

held::plain!(Action, Seen);
held::fields!(Event {
    id,
    time,
    action,
    path,
    changed,
    seen,
    state,
    previous_hash,
    stood_ms,
    kept,
});

/// A bundle as events have told it, kept from run to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    /// What it is.
    pub state: Arc<State>,
    /// Since when it has stood, in milliseconds of Unix time; nothing for what stood there before
    /// anybody looked.
    pub since_ms: Option<i64>,
}

impl Known {
    /// Bytes that it takes, with what the watch has beside it.
    pub fn held(&self) -> usize {
        size_of::<Self>().saturating_add(self.state.held())
    }
}
