//! Which other volume a way leads by, of an image that need not have it: what is known while the way is walked.

use std::sync::Arc;

use super::image::{Image, Standing};
use super::place::{self, Asked};

/// Which other volume a way leads by, of an image that need not have it.
#[derive(Debug, Default)]
pub(super) struct Another {
    /// Its place, once the way has gone on in it.
    pub passed: Option<Arc<[u8]>>,
    /// The same of what the way is at, if it ends there.
    here: Option<Arc<[u8]>>,
}

impl Another {
    pub fn comes_to(&mut self, standing: Standing) {
        self.here = None;
        match standing {
            Standing::Own => {}
            Standing::Way(place) => self.here = Some(place),
            Standing::Another(place) => _ = self.passed.get_or_insert(place),
        }
    }

    /// True where what the way is at need not be what the Mac has.
    pub fn is_in_doubt(&self) -> bool {
        self.here.is_some()
    }

    /// The image has nothing there, where a way was to go on by names, these or others.
    pub fn lacks(&mut self, image: &Image, names: &[&[u8]], asked: Asked) {
        // What it goes on to is known, so its absence is.
        if image.place(names, asked) == Standing::Own {
            self.here = None;
        }
    }

    /// The image has nothing by a name at its top. All that a Mac has there is known, but for what it makes itself; and an
    /// image without what each has is one of a part.
    pub fn lacks_at_top(&mut self, name: &[u8], asked: Asked) {
        if place::is_of_the_system(&[name]) {
            return;
        }
        let is_made = asked.makes_names && !asked.by_data && !place::is_at_top(&[name]);
        let is_lacked = is_made || place::is_of_each(name);
        self.here = is_lacked.then(|| [b"/", name].concat().into());
    }

    /// What the way is at is not known, and neither what a link there says.
    pub fn leads_on(&mut self) {
        self.passed = self.passed.take().or_else(|| self.here.take());
    }

    /// The same where the way goes on by a name in it.
    pub fn leads_on_to(&mut self, name: Option<&[u8]>) {
        let (Some(here), Some(name)) = (&self.here, name) else {
            return self.leads_on();
        };
        self.passed
            .get_or_insert([here, b"/".as_slice(), name].concat().into());
    }

    pub fn place(&self) -> Option<&Arc<[u8]>> {
        self.passed.as_ref().or(self.here.as_ref())
    }
}
