//! Shows every DirectoryService plug-in bundle (`*.dsplug`) on a Mac: who signed it, what it holds, and
//! whether the system would load it. And, for those who want nothing but that: verifies the code
//! signature of any bundle from its bytes, on any system, without Apple's tools.
//!
//! Everything is read as an attacker with root may have written it: no answer is worth more than
//! what was checked, nothing is run, no link is followed out of the root, and time and memory are
//! bounded. Whether a certificate was revoked or a bundle notarized is not asked.
//!
//! # Scan a disk
//!
//! A [`Root`](root::Root) is the directory that plays the `/` of a Mac: `/` itself, a mounted image, a
//! collected folder. A [`Scanner`](scan::Scanner) gives a [`Snapshot`](scan::Snapshot) of it, with one
//! [`Bundle`](bundle::Bundle) for each plug-in.
//!
//! ```
//! use std::path::Path;
//!
//! use dsplug::codesign::SignatureState;
//! use dsplug::{limits::Limits, root::Root, scan::Scanner};
//!
//! let root = Root::open(Path::new("tests/images/sample"))?;
//! let snapshot = Scanner::new(root, Limits::STANDARD).scan();
//! // A folder that cannot be read is no folder without plug-ins.
//! assert_eq!(snapshot.unreadable(), None);
//! for bundle in &snapshot.bundles {
//!     let path = String::from_utf8_lossy(&bundle.evidence.candidate.path);
//!     println!("{path}: {}, {}", bundle.signature.state, bundle.load.as_str());
//! }
//! let mut broken = snapshot.bundles.iter();
//! assert!(broken.any(|bundle| bundle.signature.state == SignatureState::Broken));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Verify a bundle from bytes
//!
//! [`codesign`] opens no file: the bytes may come out of an archive or a database.
//!
//! ```
//! use dsplug::codesign::{InMemory, Roots, SealLimits, SignatureState};
//!
//! # let folder = "tests/images/rcodesign/Acme.dsplug/Contents/PlugIns/Inner.bundle";
//! # let read = |path: &str| std::fs::read(format!("{folder}/{path}"));
//! let executable = read("Contents/MacOS/Inner")?;
//! let info_plist = read("Contents/Info.plist")?;
//! let resource = read("Contents/Resources/inner.txt")?;
//! let seal = read("Contents/_CodeSignature/CodeResources")?;
//!
//! let mut bundle = InMemory::default();
//! bundle
//!     .file(b"Contents/MacOS/Inner", &executable, true)
//!     .file(b"Contents/Info.plist", &info_plist, false)
//!     .file(b"Contents/Resources/inner.txt", &resource, false)
//!     .file(b"Contents/_CodeSignature/CodeResources", &seal, false);
//! let judge = |bundle: &InMemory<'_>| {
//!     let limits = SealLimits::default();
//!     bundle.judge(b"Contents/MacOS/Inner", b"Contents/Info.plist", &Roots::apple(), &limits)
//! };
//! // It holds, and names no signer.
//! assert_eq!(judge(&bundle).state, SignatureState::Adhoc);
//!
//! // One more file that the seal does not list.
//! bundle.file(b"Contents/Resources/more.txt", b"more", false);
//! let signature = judge(&bundle);
//! assert_eq!(signature.state, SignatureState::Broken);
//! assert_eq!(signature.problems[0].code.as_str(), "resource_added");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Ask by SQL
//!
//! An [`Engine`](engine::Engine) answers over all [tables](table::TABLES) of a snapshot.
//!
//! ```
//! use std::path::Path;
//!
//! use dsplug::{engine::Engine, limits::Limits, root::Root, scan::Scanner};
//!
//! let root = Root::open(Path::new("tests/images/sample"))?;
//! let snapshot = Scanner::new(root, Limits::STANDARD).scan();
//! let answer = Engine::new()?.query(
//!     "SELECT path, executable FROM dsplug_bundles WHERE executable_outside = 1",
//!     &snapshot,
//! )?;
//! assert_eq!(answer.columns, ["path", "executable"]);
//! assert_eq!(answer.rows[0][1], "/Users/Shared/.cache/helper");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The map
//!
//! Arrows point one way, from what stands below to what stands above it, file by file
//! (`tests/suite/rooms.rs`). What is not linked here is no part of the library's surface.
//!
//! - [`root`] resolves paths inside the directory that plays the Mac's `/`, each `directory` on
//!   the way opened by itself, of a long `descent` the last few at a time;
//!   `firm_links`, `spelling`, `sha256`, `since`, `meta`, `attribute`, `name`, `text`, `shell`, `order`, [`limits`], `held` and `property_list` are its small tools,
//!   as are for those further above `spool`, which packs rows until all are known, and `bounded_json`, which
//!   reads a state or a manifest that could be too large;
//! - `layout` and `info_dictionary` are CoreFoundation's rules of a bundle, which a plug-in folder
//!   is read by as well;
//! - `folders` lists the plug-in folders and finds candidates;
//! - `evidence` reads what is on disk of each, once;
//! - [`codesign`] judges signatures: bytes to facts and problems, without I/O;
//! - `digest` and [`load`] judge the rest, and [`bundle`] is one candidate with all of that;
//! - `memory` is what earlier scans learned and keeps from being crowded out, and [`scan`] does all of it and gives a
//!   snapshot;
//! - `state_dir` is the one place where anything is kept from run to run;
//! - `event` is what happened to a bundle, `journal` keeps it for as long as `retention` lets it, and
//!   `watch` sees it happen;
//! - [`table`] declares the columns that show a snapshot;
//! - [`engine`], in the room of `sqlite`, queries the tables for those who have no osquery;
//! - `extension` serves them to osquery, `service` gives it the rows, `launch` starts it
//!   and `system_log` tells an admin of its troubles;
//! - `tree` reads everything at one place as it stands, with `attribute`s, as far as a `reading` goes, `collect` keeps
//!   it as evidence, `compare` holds it against another, and `quarantine` takes it out of its folder and puts it back;
//! - `worker` is a thread for as long as it has something to do;
//! - `doctor` says what is wrong with this host's installation;
//! - `report` is what people read, `given` reads the files that they name, `disk` is the one that they
//!   ask for, `failure` what they are told when it cannot be, and `output` where all goes;
//! - `cli` is the command line, which calls these.
#![deny(unnameable_types)]

pub mod bundle;
pub mod codesign;
pub mod exceptions;
pub mod limits;
pub mod load;
pub mod root;
pub mod scan;
pub mod table;

// For the program and the tests, which are no part of the library.
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod detect;
#[doc(hidden)]
pub mod differential;
#[doc(hidden)]
pub mod directory;
#[doc(hidden)]
pub mod disk;
#[doc(hidden)]
pub mod doctor;
#[doc(hidden)]
pub mod event;
#[doc(hidden)]
pub mod extension;
#[doc(hidden)]
pub mod failure;
#[doc(hidden)]
pub mod journal;
#[doc(hidden)]
pub mod meta;
#[doc(hidden)]
pub mod pack;
#[doc(hidden)]
pub mod property_list;
#[doc(hidden)]
pub mod quarantine;
#[doc(hidden)]
pub mod report;
#[doc(hidden)]
pub mod sha256;
#[doc(hidden)]
pub mod shell;
mod since;
#[doc(hidden)]
pub mod state_dir;
#[doc(hidden)]
pub mod text;
#[doc(hidden)]
pub mod watch;

mod attribute;
mod bounded_json;
mod collect;
mod compare;
mod descent;
mod digest;
mod evidence;
mod firm_links;
mod folders;
mod given;
mod held;
mod info_dictionary;
mod launch;
mod layout;
mod memory;
mod name;
mod order;
mod output;
mod reading;
mod retention;
mod service;
mod spelling;
mod spool;
mod sqlite;
mod system_log;
mod tree;
mod worker;

pub use sqlite::engine;

// What a snapshot is made of.
pub use evidence::{
    Attributes, ByPath, Content, Cpus, Entry, Evidence, Executable, Given, Info, InfoPlist, Linked,
    Nodes, Places, Reach, Trouble,
};
pub use folders::{Anomaly, Candidate, Folder, FolderError, Listed, Via};
pub use meta::{Kind, Meta, Timestamp, WritableBy};
pub use name::Suffix;
