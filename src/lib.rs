//! Shows every DirectoryService plug-in bundle on a Mac: who signed it, what it
//! holds, and whether the system would load it.

pub mod codesign;
pub mod folders;
pub mod limits;
pub mod meta;
pub mod name;
pub mod property_list;
pub mod root;
pub mod text;
