//! The disk of one Mac, with the vendors' plug-ins on it.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use dsplug::codesign::Roots;
use dsplug::limits::Limits;
use dsplug::root::Root;
use dsplug::scan::Scanner;
use dsplug_fixtures::certificate::{Identity, Subject};
use dsplug_fixtures::cms::Signer;
use dsplug_fixtures::macho::{Cpu, MachO};
use dsplug_fixtures::signed_bundle::{Form, SignedBundle};
use dsplug_fixtures::{Disk, PLUGINS, Plugin, set_mtime};
use tempfile::TempDir;

/// The plug-in folder as the Mac names it.
pub const FOLDER: &str = "/Library/DirectoryServices/PlugIns";
/// The plug-in that every Mac of the fleet has.
pub const ACME: &str = "Acme";
/// One that some have, by another vendor.
pub const BIRCH: &str = "Birch";
/// One that some have, of the company's own, from before anybody signed.
pub const LEGACY: &str = "Legacy";
/// When the versions were built, by number: that of the files, which an installer keeps.
const BUILT: [u64; 4] = [1_735_000_000, 1_768_000_000, 1_790_500_000, 1_791_500_000];
/// What is staged for an instant.
const STAGE: &str = "private/var/tmp/stage";

/// Those who sign.
#[derive(Debug)]
pub struct Signers {
    root: Identity,
    /// The vendor of [`ACME`].
    pub acme: Signer,
    /// The vendor of [`BIRCH`].
    pub birch: Signer,
    /// A Developer ID that an attacker has bought or stolen.
    pub bought: Signer,
    /// A chain that the attacker made himself.
    pub home_made: Signer,
    /// What vendors ship: a signature made anew would be another digest.
    depot: TempDir,
}

impl Signers {
    /// All of them, with new keys.
    pub fn new() -> Rc<Self> {
        let root = Identity::root(Subject::authority("Example Root CA"));
        let under = |name: &str, team: &str| {
            let name = format!("Developer ID Application: {name} ({team})");
            Signer::under(&root, &name, team)
        };
        Rc::new(Self {
            acme: under("Acme Directory Ltd", "ACME123456"),
            birch: under("Birch Systems", "BIRCH12345"),
            bought: under("Quiet Harbour LLC", "QUIET12345"),
            home_made: Signer::developer_id("Developer ID Application: Nobody", "NOBODY1234"),
            root,
            depot: tempfile::tempdir().expect("a temporary directory"),
        })
    }

    /// The roots that the Macs trust.
    pub fn roots(&self) -> Roots {
        Roots::of(vec![self.root.der.clone()])
    }
}

/// A disk, and what is on it.
pub struct Site {
    /// The disk itself.
    pub disk: Disk,
    /// Those who sign.
    pub signers: Rc<Signers>,
    acme: Cell<Option<u8>>,
}

impl Site {
    /// A Mac without a plug-in.
    pub fn new(signers: &Rc<Signers>) -> Self {
        Self {
            disk: Disk::new(),
            signers: Rc::clone(signers),
            acme: Cell::new(None),
        }
    }

    /// A place in the plug-in folder.
    pub fn plugin(&self, path: &str) -> PathBuf {
        self.disk.plugin(path)
    }

    /// Installs a version of [`ACME`], or puts the present one back.
    pub fn acme(&self, version: Option<u8>) {
        let version = version.or(self.acme.get()).expect("a version");
        self.acme.set(Some(version));
        self.ship(ACME, version, &self.signers.acme);
    }

    /// Installs a version of [`BIRCH`].
    pub fn birch(&self, version: u8) {
        self.ship(BIRCH, version, &self.signers.birch);
    }

    /// Installs [`LEGACY`].
    pub fn legacy(&self) {
        Plugin::new(LEGACY)
            .file("Contents/Resources/servers.conf", "ldap.example.com\n")
            .write(self.plugin(""));
        age(&self.plugin(&format!("{LEGACY}.dsplug")), BUILT[0]);
    }

    /// Accepts [`LEGACY`] by its digest, as an admin's list does.
    pub fn except_legacy(&self) {
        let path = format!("{FOLDER}/{LEGACY}.dsplug");
        let root = Root::open(self.disk.path()).expect("a root");
        let found = Scanner::new(root, Limits::STANDARD).scan().bundles;
        let legacy = found
            .iter()
            .find(|b| b.evidence.candidate.path == path.as_bytes());
        let digest = legacy.and_then(|b| b.digest).expect("a digest");
        let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let keys = [("id", "legacy"), ("path", &path), ("hash", &hash)]
            .map(|(key, value)| format!("<key>{key}</key><string>{value}</string>"));
        let list = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\"><dict><key>Exceptions</key>\
             <array><dict>{}</dict></array></dict></plist>\n",
            keys.concat()
        );
        let file = "Library/Application Support/dsplug/exceptions.plist";
        self.disk.file(file, list);
    }

    /// A version of a vendor's bundle, signed and whole.
    pub fn vendors(&self, name: &str, version: u8, signer: &Signer) -> SignedBundle {
        let plist = Plugin::new(name)
            .key("CFBundleIdentifier", format!("test.{name}"))
            .key("CFBundleShortVersionString", format!("{version}.0"))
            .key("CFPluginNameString", format!("{name} Directory"));
        let schema = format!("schema of {version}");
        SignedBundle::new(name, Form::Deep)
            .signer(signer)
            .with_info_plist(plist.info_plist())
            .file("Resources/schema.txt", schema.as_bytes())
            .file("Resources/de.lproj/main.strings", b"deutsch")
            .code("Frameworks/libhelp.dylib", &MachO::dylib(Cpu::Arm64e))
    }

    /// Puts the vendor's bundle of a version in its place.
    pub fn ship(&self, name: &str, version: u8, signer: &Signer) {
        let depot = self.signers.depot.path().join(version.to_string());
        let made = depot.join(format!("{name}.dsplug"));
        if !made.exists() {
            self.vendors(name, version, signer).write(&depot);
        }
        self.put(&made, version);
    }

    /// Puts a copy of a bundle in its place as an installer does: written elsewhere, with the times of
    /// its build, and renamed.
    pub fn put(&self, made: &Path, version: u8) {
        let name = made.file_name().expect("a name");
        let staged = self.disk.dir(STAGE).join(name);
        copy(made, &staged);
        age(&staged, BUILT[usize::from(version)]);
        let place = self.disk.at(PLUGINS).join(name);
        remove(&place);
        fs::rename(staged, place).expect("a rename");
    }

    /// Takes away what the attackers may have left in the plug-in folder and beside it.
    pub fn clean(&self) {
        let folder = self.disk.at(PLUGINS);
        if folder.is_symlink() {
            let real = self.disk.at("private/var/moved");
            fs::remove_file(&folder).expect("a link");
            fs::rename(real, &folder).expect("a folder");
        }
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name != "Acme.dsplug" {
                remove(&path);
            }
        }
        remove(&self.disk.at("Library/OpenDirectory/Modules/Evil.xpc"));
        remove(&self.disk.at("Library/OpenDirectory/Modules/Link.xpc"));
        if self.acme.get().is_some() {
            self.acme(None);
        }
    }
}

/// Copies a directory of directories and files.
fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).expect("a copy");
        return;
    }
    fs::create_dir(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        copy(&path, &to.join(path.file_name().expect("a name")));
    }
}

/// Removes whatever stands there.
pub fn remove(path: &Path) {
    let gone = if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(path)
    } else if path.symlink_metadata().is_ok() {
        fs::remove_file(path)
    } else {
        Ok(())
    };
    gone.expect("a removal");
}

/// Sets the modification time of a directory and all in it.
pub fn age(path: &Path, time: u64) {
    if path.is_symlink() {
        return;
    }
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a directory") {
            age(&entry.expect("an entry").path(), time);
        }
    }
    set_mtime(path, time);
}
