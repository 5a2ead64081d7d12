//! What `quarantine` and `restore` are told.

use std::path::PathBuf;

use crate::report::answer;

/// What `quarantine` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The bundle, as the Mac names it, or where it stands below --root
    #[arg(required_unless_present = "list", value_name = "PATH")]
    pub path: Option<PathBuf>,
    /// Leave it alone unless this is its digest, the column hash
    #[arg(long, value_name = "HASH")]
    pub expect: Option<String>,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// Leave the process alone that has loaded it
    #[arg(long)]
    pub keep_loader: bool,
    /// Move its main executable too, where that stands outside of it and is what was expected
    #[arg(long)]
    pub with_executable: bool,
    /// The SHA-256 of that, the column executable_hash
    #[arg(long, value_name = "HASH", requires = "with_executable")]
    pub expect_executable: Option<String>,
    /// Move it though Apple or a developer known to Apple has signed it
    #[arg(long, requires = "with_executable")]
    pub force_executable: bool,
    /// Write to the image that --root names; finish or undo what was interrupted there, or in what --state-dir names
    #[arg(long)]
    pub yes_write_image: bool,
    /// Show the ledger
    #[arg(long, conflicts_with_all = ["path", "expect", "keep_loader", "with_executable"])]
    pub list: bool,
    /// How the ledger is printed
    #[arg(long, value_enum, default_value_t = answer::Format::Line, requires = "list")]
    pub format: answer::Format,
}

/// What `restore` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct RestoreOptions {
    /// The entry of the ledger: dsplug quarantine --list shows which there are
    #[arg(value_name = "ID")]
    pub id: String,
    /// Leave it in the vault unless this is its digest, the column hash; a main executable that was moved with it then
    /// stays there, and has an entry and a digest of its own
    #[arg(long, value_name = "HASH")]
    pub expect: Option<String>,
    /// Put it into this directory of this computer, and not where it stood; nothing else is finished or undone
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// Write to the image that --root names; finish or undo what was interrupted there, or in what --state-dir names
    #[arg(long)]
    pub yes_write_image: bool,
}
