//! What a quarantine or a restoration left that was interrupted: it is finished or undone here.

use std::fmt::Display;

use super::finding::Finding;
use crate::quarantine::{Asked, recover};
use crate::state_dir::StateDir;

/// Finishes or undoes what is unfinished, and says so.
pub fn interrupted<E: Display>(
    state: Result<Option<StateDir>, E>,
    asked: &Asked<'_>,
    thorough: bool,
) -> Vec<Finding> {
    let state = match state {
        Ok(Some(state)) => state,
        Ok(None) => return Vec::new(),
        Err(why) => return vec![unknown(&why)],
    };
    match recover(&state, asked, thorough) {
        Ok(recovered) => {
            let done = recovered.done.into_iter();
            let done = done.map(|line| Finding::note(line, "nothing is left to do"));
            let open = recovered.open.into_iter();
            let cure = "see what stands there, then run dsplug doctor again";
            done.chain(open.map(|line| Finding::wrong(line, cure)))
                .collect()
        }
        Err(why) => vec![unknown(&why)],
    }
}

fn unknown(why: &dyn Display) -> Finding {
    let what = format!("whether a quarantine was interrupted is not known: {why}");
    if rustix::process::geteuid().is_root() {
        Finding::wrong(what, "see who can write there, and chmod go-w")
    } else {
        // Only root reads there.
        Finding::note(what, "sudo dsplug doctor")
    }
}
