//! The check of one Mach-O file: what holds is said to hold, and each way to break it is named.

mod adhoc;
mod check;
mod container;
mod flips;
mod linkedit;
mod real;
mod sections;
mod signed;
