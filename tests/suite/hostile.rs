//! Disks that were laid out to hang, blind, crash or mislead: always a row and an error.

mod beyond;
mod dyld;
mod limits;
mod links;
mod loads;
mod names;
mod unreadable;
