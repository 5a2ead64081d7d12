//! Shows every DirectoryService plug-in bundle on a Mac: who signed it, what it
//! holds, and whether the system would load it.
//!
//! Arrows point one way:
//!
//! - [`root`] resolves paths inside the directory that plays the Mac's `/`, each [`directory`] on
//!   the way opened by itself; [`spelling`], [`meta`], [`name`], [`text`], [`limits`] and [`property_list`] are
//!   its small tools;
//! - [`layout`] and [`info_dictionary`] are CoreFoundation's rules of a bundle, which a plug-in folder
//!   is read by as well;
//! - [`folders`] lists the plug-in folders and finds candidates;
//! - [`evidence`] reads what is on disk of each, once;
//! - [`codesign`] judges signatures: bytes to facts and problems, without I/O;
//! - [`digest`] and [`load`] judge the rest, and [`bundle`] is one candidate with all of that;
//! - [`scan`] does all of it and gives a snapshot;
//! - [`state_dir`] is the one place where anything is kept from run to run;
//! - [`event`] is what happened to a bundle, [`journal`] keeps it, and [`watch`] sees it happen;
//! - [`table`] declares the columns that show a snapshot;
//! - [`engine`], in the room of [`sqlite`], queries the tables for those who have no osquery;
//! - [`extension`] serves them to osquery, [`service`] gives it the rows, [`launch`] starts it
//!   and [`system_log`] tells an admin of its troubles;
//! - [`tree`] reads everything at one place as it stands, [`collect`] keeps it as evidence, [`compare`]
//!   holds it against another,
//!   and [`quarantine`] takes it out of its folder and puts it back;
//! - [`doctor`] says what is wrong with this host's installation;
//! - [`report`] is what people read, [`given`] reads the files that they name, and [`cli`] is the
//!   command line.

pub mod bundle;
pub mod cli;
pub mod codesign;
pub mod collect;
pub mod compare;
pub mod detect;
pub mod differential;
pub mod digest;
pub mod directory;
pub mod doctor;
pub mod event;
pub mod evidence;
pub mod exceptions;
pub mod extension;
pub mod folders;
pub mod given;
pub mod info_dictionary;
pub mod journal;
pub mod launch;
pub mod layout;
pub mod limits;
pub mod load;
pub mod meta;
pub mod name;
pub mod pack;
pub mod property_list;
pub mod quarantine;
pub mod report;
pub mod root;
pub mod scan;
pub mod service;
pub mod spelling;
pub mod sqlite;
pub mod state_dir;
pub mod system_log;
pub mod table;
pub mod text;
pub mod tree;
pub mod watch;

pub use sqlite::engine;
