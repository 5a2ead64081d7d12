//! The directory nodes that a plug-in's Info.plist has the loader register, before the code is mapped.

use crate::property_list::Value;
use crate::text;

/// The key that names them.
pub const NODES: &str = "DSNodesToRegister";
/// Nodes that are kept.
const MOST_NODES: usize = 16;
/// Bytes of one that are kept.
const MOST_NODE: usize = 128;
/// Bytes of all that are kept however much there is of others.
pub const SHORT: usize = 128;
/// Bytes of a piece of a path that the loader takes, a NUL after it included.
const LONGEST_PIECE: usize = 1_024;

/// The nodes, in the loader's order (`CServerPlugin::ProcessURL` of CServerPlugin.cpp).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nodes {
    /// Their paths as people are shown them, one a line, and how many more there are.
    pub shown: Box<str>,
    /// True when it comes to what it takes for no node: there it ends, and registers none of those that follow.
    pub has_odd: bool,
}

impl Nodes {
    pub(super) fn of(value: &Value) -> Self {
        let Some(values) = value.as_array() else {
            return Self {
                has_odd: true,
                ..Self::default()
            };
        };
        let nodes = || values.iter().map_while(pieces);
        let mut shown: Vec<String> = nodes().take(MOST_NODES).map(path).collect();
        let count = nodes().count();
        let more = count.saturating_sub(MOST_NODES);
        if more > 0 {
            shown.push(and_more(more));
        }
        Self {
            shown: shown.join("\n").into(),
            has_odd: count < values.len(),
        }
    }

    /// Cuts them to what is kept however much there is of others.
    pub(super) fn shorten(&mut self) {
        let mut left = SHORT;
        let fits = |node: &&str| match left.checked_sub(node.len().saturating_add(1)) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        };
        let mut kept: Vec<&str> = self.shown.lines().take_while(fits).collect();
        let more = self.shown.lines().count().saturating_sub(kept.len());
        let more = and_more(more);
        kept.push(&more);
        self.shown = kept.join("\n").into();
    }
}

fn and_more(more: usize) -> String {
    format!("… and {more} more")
}

/// What the path of a node is made of; nothing for what the loader takes for none.
fn pieces(node: &Value) -> Option<&[Value]> {
    let node = node.as_dictionary()?;
    let kind = node.get("DSNodeToRegisterType")?;
    let pieces = node.get("DSNodeToRegisterPath")?.as_array()?;
    let fits = |piece: &Value| {
        piece
            .as_text()
            .is_some_and(|piece| !piece.is_ill_formed() && piece.as_bytes().len() < LONGEST_PIECE)
    };
    let is_number = matches!(kind, Value::Integer(_) | Value::Real(_));
    (is_number && pieces.iter().all(fits)).then_some(pieces)
}

/// A path as people are shown it.
fn path(pieces: &[Value]) -> String {
    let mut path = Vec::new();
    for piece in pieces.iter().filter_map(Value::as_text) {
        path.push(b'/');
        path.extend_from_slice(piece.as_bytes());
        if path.len() > MOST_NODE {
            break;
        }
    }
    text::cut(text::escape(&path), MOST_NODE)
}
