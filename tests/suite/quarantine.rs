//! Out of the folder and back: exactly, once, and whatever befalls.

use crate::faults::strace;

mod scene;

mod exchanged;

mod foreign;
mod mounts;
mod moves;

mod interrupted;

mod model;

mod rests;

mod set_back;
