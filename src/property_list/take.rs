//! What takes a list's entries as they are read, so that not all of them are held at a time.

use super::text::Text;
use super::value::Value;

/// Takes the entries of the dictionaries in the topmost one: told the key under which the dictionary stands, an entry's
/// key and its value. What it gives back is put there.
pub type Take<'t> = dyn FnMut(&Text, Text, Value) -> Option<(Text, Value)> + 't;

/// Takes nothing.
pub(super) fn leave(_: &Text, key: Text, value: Value) -> Option<(Text, Value)> {
    Some((key, value))
}
