//! Shows every DirectoryService plug-in bundle on a Mac: who signed it, what it
//! holds, and whether the system would load it.

pub mod codesign;
