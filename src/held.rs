//! How much memory a value takes: what a scan holds is whatever somebody planted.
//!
//! A struct says it by the names of all of its fields, so that a new one does not compile until it is
//! counted.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A value that may hold memory beside its own place.
pub trait Held {
    /// Bytes that it takes beyond its own size, about: each piece of memory counts what the allocator adds.
    fn held(&self) -> usize;
}

/// What the allocator adds to a piece of memory, about.
const PIECE: usize = 16;

/// Bytes of one piece of memory.
fn piece(bytes: usize) -> usize {
    if bytes == 0 {
        0
    } else {
        bytes.saturating_add(PIECE)
    }
}

/// The sum of what all of them hold.
pub fn sum(parts: &[&dyn Held]) -> usize {
    let parts = parts.iter().map(|part| part.held());
    parts.fold(0, usize::saturating_add)
}

/// Declares types that are no more than their own size.
macro_rules! plain {
    ($($kind:ty),* $(,)?) => {
        $(impl crate::held::Held for $kind {
            fn held(&self) -> usize {
                0
            }
        })*
    };
}
pub(crate) use plain;

/// Declares what a struct holds: what each of its fields does, all of which have to be named.
macro_rules! fields {
    ($kind:ident { $($field:ident),* $(,)? }) => {
        impl crate::held::Held for $kind {
            fn held(&self) -> usize {
                let Self { $($field),* } = self;
                crate::held::sum(&[$($field),*])
            }
        }
    };
}
pub(crate) use fields;

plain!(bool, u8, u32, [u32; 2], u64, usize, i64, &'static str);

impl<const N: usize> Held for [u8; N] {
    fn held(&self) -> usize {
        0
    }
}

impl Held for str {
    fn held(&self) -> usize {
        piece(self.len())
    }
}

impl Held for String {
    fn held(&self) -> usize {
        piece(self.capacity())
    }
}

impl Held for Cow<'static, str> {
    fn held(&self) -> usize {
        match self {
            Self::Borrowed(_) => 0,
            Self::Owned(text) => text.held(),
        }
    }
}

impl<T: Held> Held for Option<T> {
    fn held(&self) -> usize {
        self.as_ref().map_or(0, Held::held)
    }
}

impl<T: Held> Held for Vec<T> {
    fn held(&self) -> usize {
        let own = piece(self.capacity().saturating_mul(size_of::<T>()));
        self.iter().map(Held::held).fold(own, usize::saturating_add)
    }
}

impl<T: Held> Held for Box<T> {
    fn held(&self) -> usize {
        piece(size_of::<T>()).saturating_add(self.as_ref().held())
    }
}

/// Of what others hold too, as if nobody did.
impl<T: Held> Held for Arc<T> {
    fn held(&self) -> usize {
        piece(size_of::<T>()).saturating_add(self.as_ref().held())
    }
}

impl Held for Arc<str> {
    fn held(&self) -> usize {
        self.as_ref().held()
    }
}

impl Held for Box<[u8]> {
    fn held(&self) -> usize {
        piece(self.len())
    }
}

impl<T: Held> Held for BTreeSet<T> {
    fn held(&self) -> usize {
        let own = self.len().saturating_mul(size_of::<T>());
        let all = self.iter().map(Held::held);
        all.fold(piece(own), usize::saturating_add)
    }
}

impl<K: Held, V: Held> Held for BTreeMap<K, V> {
    fn held(&self) -> usize {
        let own = self.len().saturating_mul(size_of::<(K, V)>());
        let all = self.iter().map(|(k, v)| k.held().saturating_add(v.held()));
        all.fold(piece(own), usize::saturating_add)
    }
}
