//! The disk that a command is asked to read, and where its state is kept.

use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::given;
use crate::journal::Events;
use crate::limits::Limits;
use crate::root::Root;
use crate::scan::Scanner;
use crate::shell::Line;
use crate::state_dir::{self, StateDir};

/// What every command can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct Disk {
    /// Read DIR as the / of a Mac: a mounted disk image, a collected folder
    #[arg(long, global = true, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// Lift the budgets of time and size
    #[arg(long, global = true)]
    pub thorough: bool,
    /// Keep state (events, copies, what is quarantined) in DIR; without it, in /var/db/dsplug on a
    /// Mac that reads its own disk, and nowhere with --root
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

impl Disk {
    /// A scanner of the disk that was asked for.
    ///
    /// # Errors
    /// When there is no such directory.
    pub fn scanner(&self) -> Result<Scanner, Failure> {
        self.scanner_within(Limits::STANDARD)
    }

    /// The same for a call that acts on what it finds: whoever makes the scan slow does not make a
    /// digest unknown by it.
    ///
    /// # Errors
    /// As [`scanner`](Self::scanner).
    pub fn patient_scanner(&self) -> Result<Scanner, Failure> {
        self.scanner_within(Limits::PATIENT)
    }

    /// The options that name it, the end of a line that is pasted into a shell; none on a Mac that reads its own.
    pub fn named(&self) -> Line {
        let root = Some(&self.root).filter(|root| root.as_path() != Path::new("/"));
        let options = [("--root", root), ("--state-dir", self.state_dir.as_ref())];
        let named = |line: Line, (option, path): (_, Option<&PathBuf>)| match path {
            Some(path) => line.path(option, path),
            None => line,
        };
        options.into_iter().fold(Line::default(), named)
    }

    fn scanner_within(&self, limits: Limits) -> Result<Scanner, Failure> {
        let limits = if self.thorough {
            Limits::THOROUGH
        } else {
            limits
        };
        let root = self.open_root()?;
        let state = state_dir::place(self.state_dir.as_deref(), &root);
        Ok(Scanner::new(root, limits).keeping(state))
    }

    /// Refuses a file that would stand below a root that is an image: nothing is written there. `option` is what names
    /// another.
    ///
    /// # Errors
    /// With a line that says so.
    pub fn refuse_below(&self, path: &Path, option: &str) -> Result<(), Failure> {
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        match (parent.canonicalize(), self.root.canonicalize()) {
            (Ok(parent), Ok(root)) if root != Path::new("/") && parent.starts_with(&root) => {
                Err(Failure::new(format!(
                    "{} stands below --root, where nothing is written; name another file with {option}",
                    path.display()
                )))
            }
            _ => Ok(()),
        }
    }

    /// The directory that plays the `/`.
    ///
    /// # Errors
    /// When there is no such directory.
    pub fn open_root(&self) -> Result<Root, Failure> {
        open_root(&self.root)
    }

    /// True when it is not the disk of this computer.
    pub fn is_image(&self) -> bool {
        self.root
            .canonicalize()
            .map_or(true, |root| root != Path::new("/"))
    }

    /// True when the state is that which this computer keeps by itself: what is named otherwise may have been brought
    /// along with an image.
    pub fn keeps_own_state(&self) -> bool {
        let own = || Path::new(state_dir::PLACE).canonicalize().ok();
        let asked = self.state_dir.as_ref();
        asked.is_none_or(|asked| asked.canonicalize().is_ok_and(|asked| own() == Some(asked)))
    }

    /// Where state is kept, made when it is not there; `None` when nothing is.
    ///
    /// # Errors
    /// When the place cannot hold state.
    pub fn state(&self, root: &Root) -> Result<Option<StateDir>, Failure> {
        let place = state_dir::place(self.state_dir.as_deref(), root);
        Ok(place
            .map(|place| StateDir::open(&place, root))
            .transpose()?)
    }

    /// Where state has been kept; `None` when nothing is, or has been yet. Makes nothing.
    ///
    /// # Errors
    /// When the place cannot hold state.
    pub fn state_to_read(&self, root: &Root) -> Result<Option<StateDir>, Failure> {
        let place = state_dir::place(self.state_dir.as_deref(), root);
        let found = place
            .map(|place| StateDir::find(&place, root))
            .transpose()?;
        Ok(found.flatten())
    }

    /// The events that have been kept; why they cannot be read is told to who asks for them.
    pub(crate) fn events(&self, root: &Root) -> Events {
        match self.state_to_read(root) {
            Ok(Some(state)) => Events::kept_in(&state),
            Ok(None) => Events::default(),
            Err(why) => Events::refused(why.to_string()),
        }
    }
}

fn open_root(path: &Path) -> Result<Root, Failure> {
    let fail = |why: &str| {
        Failure::new(format!(
            "cannot open the root {}: {why}; --root takes a directory that is read as the / of a Mac",
            path.display()
        ))
    };
    let root = Root::open(path).map_err(|error| fail(&given::why(&error)))?;
    // Else what is no Mac's disk would seem to be one without plug-ins.
    match root.why_no_mac().filter(|_| path != Path::new("/")) {
        Some(why) => Err(fail(why)),
        None => Ok(root),
    }
}
