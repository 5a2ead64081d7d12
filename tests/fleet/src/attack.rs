//! The forty attacks: each of the twenty evasions that are known, in two forms.
//!
//! The numbers are those of `tests/suite/evasions.rs`. Every attack is done with real files on a disk that
//! has a vendor's plug-in already.

use std::fs;
use std::os::unix::fs::symlink;

use dsplug_fixtures::macho::{Cpu, Fat, MachO};
use dsplug_fixtures::signed_bundle::{Form, SignedBundle};
use dsplug_fixtures::{PLUGINS, Plugin, X86_64, chmod, fifo, mach_header, set_mtime};

use crate::site::{ACME, FOLDER, LEGACY, Site, age};
use crate::story::Act;

const LONG_AGO: u64 = 1_500_000_000;

/// What an attacker does to one Mac.
pub struct Attack {
    /// Which evasion, and `a` or `b` for its form.
    pub name: String,
    /// What it is.
    pub what: &'static str,
    /// The path that must be named.
    pub path: String,
    /// What stands there before; nobody attacks yet.
    pub before: Option<Act>,
    /// What is done, each with how many seconds it is done after the first.
    pub acts: Vec<(i64, Act)>,
    /// True when osqueryd's database is emptied at the same time.
    pub empties: bool,
    /// True when it needs the vendor's update to have come.
    pub after_update: bool,
}

/// One form of an evasion, until a method says more.
fn form(name: &str, what: &'static str, path: &str, act: impl Fn(&Site) + 'static) -> Attack {
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{FOLDER}/{path}")
    };
    Attack {
        name: name.to_owned(),
        what,
        path,
        before: None,
        acts: vec![(0, Box::new(act))],
        empties: false,
        after_update: false,
    }
}

impl Attack {
    fn with(mut self, before: impl Fn(&Site) + 'static) -> Self {
        self.before = Some(Box::new(before));
        self
    }

    fn then(mut self, seconds: i64, act: impl Fn(&Site) + 'static) -> Self {
        self.acts.push((seconds, Box::new(act)));
        self
    }
}

fn plain(name: &str) -> Plugin {
    Plugin::new(name)
}

fn write(plugin: &Plugin, site: &Site, at: &str) {
    plugin.write(site.plugin(at));
}

fn link(site: &Site, path: &str, target: &str) {
    site.disk.link(format!("{PLUGINS}/{path}"), target);
}

/// A Mach-O file that is another one for each text.
fn code(text: &str) -> Vec<u8> {
    [mach_header(X86_64), text.as_bytes().to_vec()].concat()
}

/// All forty, in order.
#[expect(clippy::too_many_lines, reason = "it is a list")]
pub fn all() -> Vec<Attack> {
    vec![
        form(
            "e01a",
            "the executable of an unsigned plug-in is replaced, the bundle's time put back",
            "Legacy.dsplug",
            |site| {
                let bundle = site.plugin("Legacy.dsplug");
                fs::write(bundle.join("Contents/MacOS/Legacy"), code("1")).unwrap();
                age(&bundle, LONG_AGO);
            },
        )
        .with(Site::legacy),
        form(
            "e01b",
            "a resource of the vendor's plug-in is replaced, its times put back",
            "Acme.dsplug",
            |site| {
                let file = site.plugin("Acme.dsplug/Contents/Resources/schema.txt");
                fs::write(&file, "another schema").unwrap();
                set_mtime(file, LONG_AGO);
            },
        ),
        form(
            "e02a",
            "an unsigned plug-in is staged elsewhere and renamed in",
            "Staged.dsplug",
            |site| {
                let staged = plain("Staged").write(site.disk.dir("private/tmp"));
                fs::rename(staged, site.plugin("Staged.dsplug")).unwrap();
            },
        ),
        form(
            "e02b",
            "a plug-in signed by a bought Developer ID is staged and renamed in",
            "Quiet.dsplug",
            |site| site.ship("Quiet", 1, &site.signers.bought),
        ),
        form("e03a", "its times are set back", "Old.dsplug", |site| {
            write(&plain("Old"), site, "");
            age(&site.plugin("Old.dsplug"), LONG_AGO);
        }),
        form(
            "e03b",
            "an executable is replaced by one of the same size, its times put back",
            "Legacy.dsplug",
            |site| {
                let file = site.plugin("Legacy.dsplug/Contents/MacOS/Legacy");
                fs::write(&file, mach_header(X86_64)).unwrap();
                set_mtime(file, LONG_AGO);
            },
        )
        .with(Site::legacy),
        form(
            "e04a",
            "it stands in Contents/Resources of the folder",
            "Contents/Resources/Deep.dsplug",
            |site| write(&plain("Deep"), site, "Contents/Resources"),
        ),
        form(
            "e04b",
            "it stands in Base.lproj of the folder",
            "Base.lproj/Local.dsplug",
            |site| write(&plain("Local"), site, "Base.lproj"),
        ),
        form(
            "e05a",
            "Contents of the folder is a link to a hidden place",
            "Contents/Resources/Hidden.dsplug",
            |site| {
                plain("Hidden").write(site.disk.dir("private/var/hidden/Resources"));
                link(site, "Contents", "/private/var/hidden");
            },
        ),
        form(
            "e05b",
            "the folder is moved and a link put in its place",
            "Acme.dsplug",
            |site| {
                let moved = site.disk.at("private/var/moved");
                fs::create_dir_all(moved.parent().unwrap()).unwrap();
                fs::rename(site.disk.at(PLUGINS), moved).unwrap();
                site.disk.link(PLUGINS, "/private/var/moved");
            },
        ),
        form(
            "e06a",
            "what a linked plug-in leads to is swapped",
            "Linked.dsplug",
            |site| {
                let file = "opt/linked/Linked.dsplug/Contents/MacOS/Linked";
                fs::write(site.disk.at(file), code("swapped")).unwrap();
            },
        )
        .with(|site| {
            plain("Linked").write(site.disk.dir("opt/linked"));
            link(site, "Linked.dsplug", "/opt/linked/Linked.dsplug");
        }),
        form(
            "e06b",
            "the vendor's plug-in is moved and a link put in its place",
            "Acme.dsplug",
            |site| {
                let moved = site.disk.dir("opt/acme").join("Acme.dsplug");
                fs::rename(site.plugin("Acme.dsplug"), moved).unwrap();
                link(site, "Acme.dsplug", "/opt/acme/Acme.dsplug");
            },
        ),
        form(
            "e07a",
            "its executable stands outside of it",
            "Outside.dsplug",
            |site| {
                site.disk.file("Users/Shared/x", code("outside"));
                let plugin = plain("Outside")
                    .key("CFBundleExecutable", "../../../../../../Users/Shared/x")
                    .without_executable();
                write(&plugin, site, "");
            },
        ),
        form(
            "e07b",
            "an executable that stands outside is swapped, the bundle left alone",
            "Shell.dsplug",
            |site| {
                site.disk.file("opt/shell/run", code("swapped"));
            },
        )
        .with(|site| {
            site.disk.file("opt/shell/run", code("honest"));
            let plugin = plain("Shell")
                .key("CFBundleExecutable", "../../../../../../opt/shell/run")
                .without_executable();
            write(&plugin, site, "");
        }),
        form(
            "e08a",
            "an Info-macos.plist that wins is put beside the one that is read by people",
            "Legacy.dsplug",
            |site| {
                let list = plain(LEGACY).key("CFBundleExecutable", "../../../../tmp/x");
                let path = site.plugin("Legacy.dsplug/Contents/Info-macos.plist");
                fs::write(path, list.info_plist()).unwrap();
            },
        )
        .with(Site::legacy),
        form(
            "e08b",
            "the same in the vendor's signed plug-in",
            "Acme.dsplug",
            |site| {
                let list = plain(ACME).key("CFBundleIdentifier", "com.example.real");
                let path = site.plugin("Acme.dsplug/Contents/Info-macos.plist");
                fs::write(path, list.info_plist()).unwrap();
            },
        ),
        form(
            "e09a",
            "a flat bundle without a key for its executable",
            "Flat.dsplug",
            |site| {
                let plugin = plain("Flat").flat().without("CFBundleExecutable");
                write(&plugin, site, "");
            },
        ),
        form("e09b", "an Info.plist in Resources", "Odd.dsplug", |site| {
            let plugin = plain("Odd").plist_at("Resources/Info.plist");
            write(&plugin.executable_at("Odd"), site, "");
        }),
        form(
            "e10a",
            "it claims an identifier of Apple's",
            "Search.dsplug",
            |site| {
                let identifier = "com.apple.DirectoryService.Search";
                let plugin = plain("Search").key("CFBundleIdentifier", identifier);
                write(&plugin, site, "");
            },
        ),
        form(
            "e10b",
            "it claims the vendor's identifier and is signed by another",
            "AcmeUpdate.dsplug",
            |site| {
                let list = plain("AcmeUpdate").key("CFBundleIdentifier", "test.Acme");
                let bundle = SignedBundle::new("AcmeUpdate", Form::Deep)
                    .signer(&site.signers.bought)
                    .with_info_plist(list.info_plist());
                site.put(&bundle.write(site.disk.dir("private/tmp")), 1);
            },
        ),
        Attack {
            empties: true,
            ..form(
                "e11a",
                "signed ad hoc, while osqueryd's database is emptied",
                "Adhoc.dsplug",
                |site| {
                    SignedBundle::new("Adhoc", Form::Deep).write(site.plugin(""));
                },
            )
        },
        form(
            "e11b",
            "signed by a chain of the attacker's own",
            "Home.dsplug",
            |site| {
                SignedBundle::new("Home", Form::Deep)
                    .signer(&site.signers.home_made)
                    .write(site.plugin(""));
            },
        ),
        form(
            "e12a",
            "one good slice, and one with a page that was not signed",
            "Fat.dsplug",
            |site| {
                SignedBundle::new("Fat", Form::Deep)
                    .executable(|signature| {
                        let good = MachO::bundle(Cpu::X86_64).code_len(5000).signed(signature);
                        let mut bad = MachO::bundle(Cpu::Arm64e).code_len(5000).signed(signature);
                        bad[4500] ^= 1;
                        Fat::of(&[(Cpu::X86_64, good), (Cpu::Arm64e, bad)]).build()
                    })
                    .write(site.plugin(""));
            },
        ),
        form(
            "e12b",
            "one slice that the bought Developer ID signed, and one that nobody did",
            "Half.dsplug",
            |site| {
                SignedBundle::new("Half", Form::Deep)
                    .signer(&site.signers.bought)
                    .executable(|signature| {
                        let good = MachO::bundle(Cpu::X86_64).code_len(5000).signed(signature);
                        let bare = MachO::bundle(Cpu::Arm64e).code_len(5000).unsigned();
                        Fat::of(&[(Cpu::X86_64, good), (Cpu::Arm64e, bare)]).build()
                    })
                    .write(site.plugin(""));
            },
        ),
        form(
            "e13a",
            "a library is put into the vendor's plug-in, outside of the seal",
            "Acme.dsplug",
            |site| {
                let path = site.plugin("Acme.dsplug/Contents/Resources/payload.dylib");
                fs::write(path, MachO::dylib(Cpu::Arm64e).unsigned()).unwrap();
            },
        ),
        form(
            "e13b",
            "a library of the vendor's plug-in is replaced",
            "Acme.dsplug",
            |site| {
                let path = site.plugin("Acme.dsplug/Contents/Frameworks/libhelp.dylib");
                fs::write(path, MachO::dylib(Cpu::Arm64e).code_len(900).unsigned()).unwrap();
            },
        ),
        Attack {
            after_update: true,
            ..form(
                "e14a",
                "the vendor's plug-in is put back to the version before",
                "Acme.dsplug",
                |site| site.ship(ACME, 1, &site.signers.acme),
            )
        },
        form(
            "e14b",
            "an old version of the vendor's plug-in that the fleet never had",
            "Acme.dsplug",
            |site| site.ship(ACME, 0, &site.signers.acme),
        ),
        form(
            "e15a",
            "it takes the name of an unsigned plug-in",
            "Zeta.dsplug",
            |site| {
                let plugin = plain("Zeta").key("CFPluginNameString", LEGACY);
                write(&plugin, site, "");
            },
        )
        .with(Site::legacy),
        form(
            "e15b",
            "it takes the name of the vendor's plug-in",
            "Zulu.dsplug",
            |site| {
                let plugin = plain("Zulu").key("CFPluginNameString", "Acme Directory");
                write(&plugin, site, "");
            },
        ),
        form(
            "e16a",
            "created, loaded and deleted within twenty seconds",
            "Brief.dsplug",
            |site| write(&plain("Brief"), site, ""),
        )
        .then(20, |site| {
            fs::remove_dir_all(site.plugin("Brief.dsplug")).unwrap();
        }),
        form(
            "e16b",
            "the vendor's executable is swapped and put back within thirty seconds",
            "Acme.dsplug",
            |site| {
                let path = site.plugin("Acme.dsplug/Contents/MacOS/Acme");
                fs::rename(&path, site.disk.at("private/var/tmp/kept")).unwrap();
                fs::write(&path, code("swapped")).unwrap();
                chmod(&path, 0o755);
            },
        )
        .then(30, |site| {
            let path = site.plugin("Acme.dsplug/Contents/MacOS/Acme");
            fs::rename(site.disk.at("private/var/tmp/kept"), path).unwrap();
        }),
        form(
            "e17a",
            "it holds what cannot be read",
            "Pipe.dsplug",
            |site| {
                let bundle = plain("Pipe").write(site.plugin(""));
                fs::write(bundle.join("Contents/Info.plist"), "<plist>").unwrap();
                fifo(bundle.join("Contents/pipe"));
            },
        ),
        form("e17b", "a link to itself", "Loop.dsplug", |site| {
            link(site, "Loop.dsplug", "Loop.dsplug");
        }),
        form("e18a", "a plain file", "File.dsplug", |site| {
            fs::write(site.plugin("File.dsplug"), "staged").unwrap();
        }),
        form("e18b", "a link to a plain file", "ToFile.dsplug", |site| {
            site.disk.file("private/var/db/x", code("file"));
            symlink("/private/var/db/x", site.plugin("ToFile.dsplug")).unwrap();
        }),
        form(
            "e19a",
            "the suffix in another letter case",
            "Case.DSPLUG",
            |site| {
                plain("Case").write_as(site.plugin("Case.DSPLUG"));
            },
        ),
        form(
            "e19b",
            "a letter of another alphabet in the suffix",
            "Look.d\u{455}plug",
            |site| {
                plain("Look").write_as(site.plugin("Look.d\u{455}plug"));
            },
        ),
        form(
            "e20a",
            "a module of OpenDirectory instead",
            "/Library/OpenDirectory/Modules/Evil.xpc",
            |site| {
                site.disk.file(
                    "Library/OpenDirectory/Modules/Evil.xpc/Contents/MacOS/Evil",
                    code("module"),
                );
            },
        ),
        form(
            "e20b",
            "a link to one that stands elsewhere",
            "/Library/OpenDirectory/Modules/Link.xpc",
            |site| {
                let module = "Users/Shared/Link.xpc/Contents/MacOS/Evil";
                site.disk.file(module, code("module"));
                site.disk.link(
                    "Library/OpenDirectory/Modules/Link.xpc",
                    "/Users/Shared/Link.xpc",
                );
            },
        ),
    ]
}
