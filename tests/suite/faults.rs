//! Every system call of a scan, and of what `detect` remembers, failing in turn: what could not be
//! read is said, and nothing is lost, invented or half.

pub mod strace;

mod scan;

mod state;

mod room;
