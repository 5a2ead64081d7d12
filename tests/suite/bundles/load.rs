//! Whether the loader would load it.

use std::fs;

use crate::common::{bundle, only_bundle, query};
use dsplug_fixtures::binary_list::binary_list;
use dsplug_fixtures::macho::{Cpu, Fat, MachO};
use dsplug_fixtures::plugin::{MODULE_TYPE, factory};
use dsplug_fixtures::{Disk, PLUGINS, Plugin};
use plist::Value;

/// The verdict on a bundle that stands alone, and its reasons.
fn reasons(plugin: Plugin) -> (String, String) {
    let disk = Disk::new();
    plugin.write(disk.at(PLUGINS));
    let row = only_bundle(disk.path());
    (row["load_verdict"].clone(), row["load_reasons"].clone())
}

#[test]
fn load_reasons_one_by_one() {
    let no = |reason: &str| ("not_loadable".to_owned(), reason.to_owned());
    let a = || Plugin::new("A");
    assert_eq!(reasons(a()), ("loadable".into(), String::new()));
    assert_eq!(reasons(a().flat()), ("loadable".into(), String::new()));
    assert_eq!(reasons(a().without_plist()), no("no_info_plist"));
    assert_eq!(
        reasons(a().without_plist().file("Contents/Info.plist", "x")),
        no("malformed_info_plist")
    );
    assert_eq!(reasons(a().without_executable()), no("no_executable"));
    assert_eq!(reasons(a().executable("#!/bin/sh\n")), no("not_mach_o"));
    assert_eq!(
        reasons(
            a().executable(
                [
                    dsplug_fixtures::mach_header(dsplug_fixtures::I386),
                    vec![0; 4]
                ]
                .concat()
            )
        ),
        no("no_64bit_slice")
    );
    assert_eq!(reasons(a().without("CFPlugInTypes")), no("no_plugin_types"));
    assert_eq!(
        reasons(a().without("CFPlugInFactories")),
        no("no_plugin_factories")
    );
    assert_eq!(
        reasons(a().without("CFBundleShortVersionString")),
        no("no_version")
    );
    assert_eq!(
        reasons(a().without("CFPluginNameString")),
        no("no_plugin_name")
    );
    let empty = plist::Dictionary::new();
    assert_eq!(
        reasons(a().key("CFPlugInTypes", Value::Dictionary(empty.clone()))),
        no("no_module_factory")
    );
    assert_eq!(
        reasons(a().key("CFPlugInFactories", Value::Dictionary(empty.clone()))),
        no("no_module_factory")
    );
    assert_eq!(
        reasons(
            a().key("CFPlugInFactories", Value::Dictionary(empty))
                .key("CFPlugInDynamicRegistration", "YES")
        ),
        ("unknown".into(), "dynamic_registration".into())
    );
    // CFStringCompare folds the long s as well.
    for (value, may_register) in [("yEs", true), ("YE\u{17f}", true), ("NO", false)] {
        let none = plist::Dictionary::new();
        let plugin = a().key("CFPlugInFactories", Value::Dictionary(none));
        let (verdict, _) = reasons(plugin.key("CFPlugInDynamicRegistration", value));
        assert_eq!(verdict == "unknown", may_register, "{value}");
    }
    assert_eq!(
        reasons(
            a().without("CFBundleShortVersionString")
                .without("CFPluginNameString")
        ),
        no("no_version;no_plugin_name")
    );
    // CoreFoundation's own case: the loader crashed on an array here, as published.
    for key in ["CFBundleConfigAvail", "CFBundleConfigFile"] {
        assert_eq!(
            reasons(a().key(key, Value::Array(Vec::new()))),
            ("unknown".into(), "odd_type".into())
        );
        assert_eq!(
            reasons(a().key(key, "x")),
            ("loadable".into(), String::new())
        );
    }
}

/// What is no text is an identifier all the same (`_registerFactoryLocked`, `_registerTypeLocked` of CFPlugIn.c, as
/// read there).
#[test]
fn factories_may_be_named_by_what_is_no_text() {
    // A number, data, a date, a real number, true; a text that is declared by nobody.
    let date = [&b"\x33"[..], &1.0_f64.to_be_bytes()].concat();
    let real = [&b"\x23"[..], &1.5_f64.to_be_bytes()].concat();
    let odd = ("unknown".to_owned(), "maybe_module_factory".to_owned());
    for id in [&b"\x10\x05"[..], b"\x44abcd", &date, &real, b"\x09"] {
        assert_eq!(reasons_of_list(id, id), odd, "{id:x?}");
    }
    let no = ("not_loadable".to_owned(), "no_module_factory".to_owned());
    assert_eq!(reasons_of_list(b"\x10\x05", b"\x51a"), no);
    assert_eq!(reasons_of_list(b"\x51b", b"\x10\x05"), no);
}

/// The verdict on a bundle that declares one factory and names one for the module type.
fn reasons_of_list(declared: &[u8], named: &[u8]) -> (String, String) {
    reasons(with_list("A", Some(declared), Some(named)))
}

/// A bundle with a list in which one factory is declared and one named for the module type, or none, by whatever values.
fn with_list(name: &str, declared: Option<&[u8]>, named: Option<&[u8]>) -> Plugin {
    let text = |text: &str| {
        let len = u8::try_from(text.len()).unwrap();
        [&[0x5f, 0x10, len], text.as_bytes()].concat()
    };
    let keys = [
        "CFBundleExecutable",
        "CFBundleShortVersionString",
        "CFPluginNameString",
        "CFPlugInTypes",
        "CFPlugInFactories",
        MODULE_TYPE,
    ];
    let keys: Vec<Vec<u8>> = keys.into_iter().map(text).collect();
    // 7: the executable; 8: the version; 9: the types; 10: the factories; 11, 12: what is declared and named; 13: the
    // bundle's own name.
    let mut objects = vec![&b"\xd5\x01\x02\x03\x04\x05\x07\x08\x0d\x09\x0a"[..]];
    objects.extend(keys.iter().map(Vec::as_slice));
    let none = &b"\xd0"[..];
    let text_of_name = text(name);
    objects.extend([
        text_of_name.as_slice(),
        b"\x511",
        named.map_or(none, |_| b"\xd1\x06\x0c"),
        declared.map_or(none, |_| b"\xd1\x0b\x08"),
        declared.unwrap_or(none),
        named.unwrap_or(none),
        text_of_name.as_slice(),
    ]);
    let list = binary_list(1, &objects);
    Plugin::new(name)
        .without_plist()
        .file("Contents/Info.plist", list)
}

/// The registry of factories is the process's: another bundle may name one for the module type, and a link has
/// the bundle asked again after that.
#[test]
fn another_bundle_may_name_a_factory_for_the_module_type() {
    let disk = Disk::new();
    let none = || Value::Dictionary(plist::Dictionary::new());
    let declares = Plugin::new("A").key("CFPlugInTypes", none());
    declares.write(disk.at(PLUGINS));
    disk.link(format!("{PLUGINS}/A2.dsplug"), "A.dsplug");
    let all = all_reasons(&disk);
    assert!(
        all.iter().all(|(verdict, _)| verdict == "not_loadable"),
        "{all:?}"
    );
    let ids = vec![Value::from(factory("A"))];
    let mut types = plist::Dictionary::new();
    types.insert(MODULE_TYPE.to_owned(), Value::Array(ids));
    Plugin::new("B")
        .key("CFPlugInFactories", none())
        .key("CFPlugInTypes", Value::Dictionary(types))
        .write(disk.at(PLUGINS));
    let all = all_reasons(&disk);
    for (verdict, reasons) in &all[..2] {
        assert_eq!(verdict, "unknown", "{all:?}");
        assert!(reasons.contains("maybe_module_factory"), "{all:?}");
    }
    // It has no factory of its own.
    assert_eq!(all[2].0, "not_loadable");
    // Nor is anything proved where a list could not be read.
    let list = disk.plugin("B.dsplug/Contents/Info.plist");
    fs::File::create(list).unwrap().set_len(1 << 30).unwrap();
    let all = all_reasons(&disk);
    assert_eq!(all[0].0, "unknown", "{all:?}");
}

/// What is not known to be the list that is read names what it likes, and a link of which the end is not known may lead to
/// what is not listed by itself.
#[test]
fn another_bundle_that_is_not_known_may_name_any_factory_and_lead_anywhere() {
    let none = || Value::Dictionary(plist::Dictionary::new());
    let fills: [fn(&Disk); 5] = [
        |disk| _ = disk.link(disk.plugin("X.dsplug"), "/.vol/16777220/1234"),
        |disk| _ = disk.link(disk.plugin("X.dsplug"), "/Volumes/W/X.dsplug"),
        |disk| {
            Plugin::new("X").write(disk.dir("Volumes/W"));
            disk.link(disk.plugin("X.dsplug"), "/Volumes/W/X.dsplug");
        },
        |disk| {
            let bundle = Plugin::new("X").write(disk.at(PLUGINS));
            let list = bundle.join("Contents/Info.plist");
            fs::rename(&list, list.with_file_name("Info.pli\u{17f}t")).unwrap();
            fs::write(list, "<plist><dict/></plist>").unwrap();
        },
        |disk| _ = disk.link(disk.plugin("X.dsplug"), "x".repeat(1_100)),
    ];
    for (number, fill) in fills.into_iter().enumerate() {
        let disk = Disk::new();
        let declares = Plugin::new("A").key("CFPlugInTypes", none());
        declares.write(disk.at(PLUGINS));
        Plugin::new("N").write(disk.dir(format!("{PLUGINS}/below")));
        let nested = |disk: &Disk| {
            let sql = "SELECT load_reasons FROM dsplug_bundles WHERE path LIKE '%/below/%'";
            query(disk.path(), sql)[0]["load_reasons"].clone()
        };
        assert_eq!(all_reasons(&disk)[0].1, "no_module_factory");
        assert_eq!(nested(&disk), "not_listed");
        fill(&disk);
        assert_eq!(all_reasons(&disk)[0].1, "maybe_module_factory", "{number}");
        let is_bundle = number == 3;
        let expected = if is_bundle {
            "not_listed"
        } else {
            "maybe_listed"
        };
        assert_eq!(nested(&disk), expected, "{number}");
    }
}

/// Its code may name any factory, once it runs (`CFPlugInRegisterPlugInType`, as one that was built from CoreFoundation's
/// sources answers).
#[test]
fn one_that_registers_by_itself_may_name_what_another_declares() {
    let disk = Disk::new();
    let five = &b"\x10\x05"[..];
    with_list("A", Some(five), None).write(disk.at(PLUGINS));
    let all = all_reasons(&disk);
    assert_eq!(all[0].1, "no_module_factory", "{all:?}");
    Plugin::new("B")
        .key("CFPlugInDynamicRegistration", "YES")
        .write(disk.at(PLUGINS));
    let all = all_reasons(&disk);
    assert_eq!(all[0].1, "maybe_module_factory", "{all:?}");
}

/// A number that one bundle declares is named by another.
#[test]
fn another_bundle_may_name_what_is_no_text() {
    let disk = Disk::new();
    let five = &b"\x10\x05"[..];
    with_list("A", Some(five), None).write(disk.at(PLUGINS));
    let all = all_reasons(&disk);
    assert_eq!(all[0].1, "no_module_factory", "{all:?}");
    with_list("B", None, Some(five)).write(disk.at(PLUGINS));
    let all = all_reasons(&disk);
    let maybe = ("unknown".to_owned(), "maybe_module_factory".to_owned());
    assert_eq!(all[0], maybe, "{all:?}");
    assert_eq!(all[1].1, "no_module_factory", "{all:?}");
    // Nor is anything proved where a list could not be read.
    let list = disk.plugin("B.dsplug/Contents/Info.plist");
    fs::File::create(list).unwrap().set_len(1 << 30).unwrap();
    let all = all_reasons(&disk);
    assert_eq!(all[0], maybe, "{all:?}");
}

/// What is no text may be the same as well.
#[test]
fn what_is_refused_may_run_by_what_is_no_text() {
    let disk = Disk::new();
    let five = &b"\x10\x05"[..];
    let list = with_list("B", Some(five), Some(five))
        .write(disk.at(PLUGINS))
        .join("Contents/Info.plist");
    let text = fs::read(&list).unwrap();
    let key = b"CFBundleShortVersionString";
    let at = text.windows(key.len()).position(|w| w == key).unwrap();
    let other = [&text[..at], b"x", &text[at + 1..]].concat();
    fs::write(list, other).unwrap();
    let refused = "no_version;maybe_module_factory";
    assert_eq!(
        all_reasons(&disk),
        [("not_loadable".to_owned(), refused.to_owned())]
    );
    with_list("A", Some(five), Some(five)).write(disk.at(PLUGINS));
    let taken = "no_version;factory_taken;maybe_module_factory";
    assert_eq!(
        all_reasons(&disk)[1],
        ("unknown".to_owned(), taken.to_owned())
    );
}

/// The verdicts on all bundles and their reasons, by path.
fn all_reasons(disk: &Disk) -> Vec<(String, String)> {
    let sql = "SELECT load_verdict, load_reasons FROM dsplug_bundles ORDER BY path";
    let rows = query(disk.path(), sql);
    let words = rows
        .iter()
        .map(|r| (r["load_verdict"].clone(), r["load_reasons"].clone()));
    words.collect()
}

/// `CPlugInList::IsPresent` compares C strings.
#[test]
fn names_that_differ_behind_a_nul_are_one() {
    let disk = Disk::new();
    for (name, shown) in [("A", "Good"), ("B", "Good\0x")] {
        let plugin = Plugin::new(name).binary_plist();
        plugin
            .key("CFPluginNameString", shown)
            .write(disk.at(PLUGINS));
    }
    let rows = query(disk.path(), "SELECT load_reasons FROM dsplug_bundles");
    for row in rows {
        assert_eq!(row["load_reasons"], "name_shadowed");
    }
}

/// What the CoreFoundation before "The Monterey Merge" and the one since read in two ways: the older, built, was asked
/// for the lists; of wrapped bundles its source has nothing.
#[test]
fn what_older_macos_reads_in_another_way_is_unknown() {
    let verdict = |lay: &dyn Fn(&Disk)| {
        let disk = Disk::new();
        Plugin::new("A").write(disk.at(PLUGINS));
        lay(&disk);
        let row = only_bundle(disk.path());
        let is_told = row["error"].contains("older");
        (row["load_verdict"].clone(), is_told)
    };
    let at = |path: &str| format!("{PLUGINS}/A.dsplug/{path}");
    let list = |from: &str, to: &str| {
        let text = String::from_utf8(Plugin::new("A").info_plist()).unwrap();
        assert!(text.contains(from), "{text}");
        verdict(&|disk| drop(disk.file(at("Contents/Info.plist"), text.replacen(from, to, 1))))
    };
    let unknown = ("unknown".to_owned(), true);
    let loadable = ("loadable".to_owned(), false);
    assert_eq!(list("<plist", "<!---->\n<plist"), unknown);
    assert_eq!(list("<dict>", "<dict><!--->"), unknown);
    assert_eq!(
        list("</dict>\n</plist", "<!---><!-- --></dict></plist"),
        unknown
    );
    assert_eq!(list("<dict>", "<!-- --><dict><!----><!-- > --->"), loadable);

    let wrapped = |target: &str| {
        verdict(&|disk| {
            disk.dir(at("Wrapper/In.dsplug/Contents"));
            disk.link(at("WrappedBundle"), target);
        })
    };
    assert_eq!(wrapped("Wrapper/In.dsplug"), unknown);
    assert_eq!(wrapped("nowhere"), unknown);
    // What the one that is read lacks is no proof.
    let another = Plugin::new("In").without("CFPlugInTypes").info_plist();
    let lacks = verdict(&|disk| {
        disk.file(at("Wrapper/In.dsplug/Contents/Info.plist"), &another);
        disk.link(at("WrappedBundle"), "Wrapper/In.dsplug");
    });
    assert_eq!(lacks, unknown);
    // Where there is no `Wrapper` no macOS looks for one.
    let alone = verdict(&|disk| drop(disk.link(at("WrappedBundle"), "nowhere")));
    assert_eq!(alone, loadable);
}

/// The dictionary closes where a key is due and an error was, and no plist around it asks for errors. Each was read by
/// the older CoreFoundation, built, and refused by the one since.
#[test]
fn a_damaged_dictionary_that_older_macos_closes_is_unknown() {
    let text = String::from_utf8(Plugin::new("A").info_plist()).unwrap();
    let begin = text.find("<dict>").unwrap();
    let end = text.rfind("</dict>").unwrap();
    let list = |damage: &str, rest: &str| format!("{}{damage}</dict>{rest}", &text[begin..end]);
    let verdict = |list: String| reasons(Plugin::new("A").file("Contents/Info.plist", list));
    let unknown = ("unknown".to_owned(), "unreadable".to_owned());
    for damage in [
        "<",
        "<key>a<",
        "<string>a</",
        "<array>",
        "<string>",
        "<plist>",
        "<plist><",
        "<real>",
    ] {
        assert_eq!(verdict(list(damage, "")), unknown, "{damage}");
    }
    let (loads, _) = verdict(list("", ""));
    assert_eq!(loads, "loadable");
    let in_plist = format!("<plist>{}</plist>", list("<", ""));
    let malformed = ("not_loadable".to_owned(), "malformed_info_plist".to_owned());
    assert_eq!(verdict(in_plist), malformed);
}

/// Beside another factory that of Apple's template makes it no plug-in to newer macOS alone.
#[test]
fn beside_the_factory_of_the_template_it_is_unknown() {
    let template = "00000000-0000-0000-0000-000000000000";
    let with = |plugin: Plugin| {
        let text = String::from_utf8(plugin.info_plist()).unwrap();
        let from = "<key>CFPlugInFactories</key>";
        let (before, after) = text.split_once(from).unwrap();
        let after = after.replacen(
            "<dict>",
            &format!("<dict><key>{template}</key><string>MyFactoryFunction</string>"),
            1,
        );
        plugin.file("Contents/Info.plist", format!("{before}{from}{after}"))
    };
    let unknown = ("unknown".to_owned(), "maybe_module_factory".to_owned());
    assert_eq!(reasons(with(Plugin::new("A"))), unknown);
    let dynamic = Plugin::new("A")
        .without("CFPlugInTypes")
        .key("CFPlugInTypes", plist::Dictionary::new());
    let none = ("not_loadable".to_owned(), "no_module_factory".to_owned());
    assert_eq!(reasons(with(dynamic.clone())), none);
    assert_eq!(
        reasons(with(dynamic.key("CFPlugInDynamicRegistration", "YES"))),
        unknown
    );
}

/// CoreFoundation, built with its tables, takes a long s for an s where it compares names without regard to case; whether
/// the disk then has the file hangs on its own folding.
#[test]
fn names_by_letters_beyond_ascii_are_ambiguous() {
    let ambiguous = |lay: &dyn Fn(&Disk)| {
        let disk = Disk::new();
        Plugin::new("A").flat().write(disk.at(PLUGINS));
        lay(&disk);
        let rows = query(disk.path(), "SELECT * FROM dsplug_bundles");
        let row = rows.iter().find(|row| row["path"].ends_with("/A.dsplug"));
        let row = row.unwrap();
        let folder = &query(disk.path(), "SELECT * FROM dsplug_folders")[0];
        (
            row["load_verdict"].clone(),
            row["error"].starts_with("ambiguous: "),
            folder["error"].contains("beyond ASCII"),
        )
    };
    let at = |path: &str| format!("{PLUGINS}/A.dsplug/{path}");
    for name in [
        "Content\u{17f}",
        "Re\u{17f}ources",
        "Support File\u{17f}",
        "Support \u{fb01}les",
    ] {
        let (verdict, in_row, _) = ambiguous(&|disk| drop(disk.dir(at(name))));
        assert_eq!((verdict.as_str(), in_row), ("unknown", true), "{name}");
        let (verdict, _, in_folder) = ambiguous(&|disk| drop(disk.dir(disk.plugin(name))));
        assert_eq!((verdict.as_str(), in_folder), ("loadable", true), "{name}");
    }
    for name in [
        "Info.pli\u{17f}t",
        "Info-maco\u{17f}.plist",
        "Info.pli\u{fb06}",
    ] {
        let (verdict, in_row, _) = ambiguous(&|disk| drop(disk.file(at(name), "")));
        assert_eq!((verdict.as_str(), in_row), ("unknown", true), "{name}");
        let (_, _, in_folder) = ambiguous(&|disk| drop(disk.file(disk.plugin(name), "")));
        assert!(in_folder, "{name}");
    }
    for name in ["Content\u{15f}", "Contents\u{301}", "\u{0421}ontents"] {
        let other = ambiguous(&|disk| drop(disk.dir(at(name))));
        assert_eq!(other, ("loadable".to_owned(), false, false), "{name}");
    }
}

/// What CoreFoundation, built from its source, finds in the head of a file, against what could be mapped.
#[test]
fn heads_that_the_loader_takes_and_nothing_else_are_unknown() {
    let verdict = |executable: Vec<u8>| {
        let disk = Disk::new();
        Plugin::new("A")
            .executable(executable)
            .write(disk.at(PLUGINS));
        let row = only_bundle(disk.path());
        (row["load_verdict"].clone(), row["load_reasons"].clone())
    };
    let odd = ("unknown".to_owned(), "odd_mach_o".to_owned());
    // A universal header in the other order of bytes.
    let mut little = [0xbe_ba_fe_ca_u32, 0x0100_0000, 0x0700_0001, 0, 0, 0, 0]
        .map(u32::to_be_bytes)
        .concat();
    little.resize(4096, 0);
    assert_eq!(verdict(little), odd);
    // A slice that is not there.
    let mut empty = [0xcafe_babe_u32, 1, 0x0100_0007, 3, 4096, 32, 12]
        .map(u32::to_be_bytes)
        .concat();
    empty.resize(64, 0);
    assert_eq!(verdict(empty), odd);
    // Headers of 64-bit offsets, which it does not know and dyld does.
    let thin = dsplug_fixtures::mach_header(dsplug_fixtures::X86_64);
    let mut wide = [0xcafe_babf_u32, 1, 0x0100_0007, 3, 0, 4096, 0, 32, 12, 0]
        .map(u32::to_be_bytes)
        .concat();
    wide.resize(4096, 0);
    wide.extend_from_slice(thin.as_ref());
    assert_eq!(verdict(wide), odd);
    // More slices than are read, the last of which it may take: it looks at 25 itself.
    let slices = |count: u32| {
        let thin = |cpu: u32, n: u32| (cpu, n * 16, MachO::bundle(Cpu::I386).unsigned());
        let mut slices: Vec<_> = (1..count).map(|n| thin(7, n)).collect();
        slices.push(thin(0x0100_000c, 0));
        let mut fat = Fat::of(&[]);
        fat.slices = slices;
        fat.build()
    };
    assert_eq!(verdict(slices(27)), odd);
    assert_eq!(verdict(slices(20)), odd);
    // All of them are read, and none is for a CPU of 64 bits.
    let thin = |cpu: Cpu| (cpu, MachO::bundle(cpu).unsigned());
    let old = Fat::of(&[thin(Cpu::I386), thin(Cpu::Ppc)]).build();
    let unwanted = ("not_loadable".to_owned(), "no_64bit_slice".to_owned());
    assert_eq!(verdict(old), unwanted);
}

/// CoreFoundation's answers for such lists were `version_string`, `name_string` and, for the NUL on a Mac,
/// `no_executable`.
#[test]
fn a_text_that_the_loader_cannot_use_leaves_it_unknown() {
    let (module, factory) = (
        dsplug_fixtures::plugin::MODULE_TYPE,
        dsplug_fixtures::plugin::factory("A"),
    );
    let verdict = |version: &str, name: &str, executable: &str| {
        let disk = Disk::new();
        let list = format!(
            "{{ CFBundleShortVersionString = \"{version}\"; CFPluginNameString = \"{name}\";
                CFBundleExecutable = \"{executable}\";
                CFPlugInTypes = {{ \"{module}\" = (\"{factory}\"); }};
                CFPlugInFactories = {{ \"{factory}\" = F; }}; }}"
        );
        let plugin = Plugin::new("A").without_plist();
        plugin
            .file("Contents/Info.plist", list)
            .write(disk.at(PLUGINS));
        let row = only_bundle(disk.path());
        (row["load_verdict"].clone(), row["load_reasons"].clone())
    };
    let odd = ("unknown".to_owned(), "odd_type".to_owned());
    assert_eq!(verdict("1", "A", "A"), ("loadable".into(), String::new()));
    assert_eq!(verdict("1\\Ud800", "A", "A"), odd);
    assert_eq!(verdict("1", "A\\Ud800", "A"), odd);
    assert_eq!(verdict("1", "A", "A\\U0000B"), odd);
    assert_eq!(
        verdict("1", "A", "A\\U0000"),
        ("loadable".into(), String::new())
    );
}

#[test]
fn what_two_bundles_claim_is_unknown_for_both() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.at(PLUGINS));
    Plugin::new("B")
        .key("CFPluginNameString", "A")
        .write(disk.at(PLUGINS));
    let said = |name: &str| {
        let row = bundle(disk.path(), name);
        (row["load_verdict"].clone(), row["load_reasons"].clone())
    };
    // The order of the disk decides which of them is asked first.
    let shadowed = ("unknown".to_owned(), "name_shadowed".to_owned());
    assert_eq!(said("A.dsplug"), shadowed);
    assert_eq!(said("B.dsplug"), shadowed);
    // One that cannot load takes no name.
    Plugin::new("C")
        .key("CFPluginNameString", "D")
        .without("CFPlugInTypes")
        .write(disk.at(PLUGINS));
    Plugin::new("D").write(disk.at(PLUGINS));
    assert_eq!(said("D.dsplug").0, "loadable");
    // A factory is taken by whatever bundle is opened first, one that is then refused included. Before macOS 12 the last one
    // has it, and its code runs for the other.
    let taken = ("unknown".to_owned(), "factory_taken".to_owned());
    for (key, reason) in [
        ("CFPlugInTypes", "no_plugin_types"),
        ("CFBundleShortVersionString", "no_version"),
        ("CFPluginNameString", "no_plugin_name"),
    ] {
        let plugin = Plugin::new("E").factory(&dsplug_fixtures::plugin::factory("D"));
        plugin.without(key).write(disk.at(PLUGINS));
        assert_eq!(said("D.dsplug"), taken);
        assert_eq!(
            said("E.dsplug"),
            ("unknown".to_owned(), format!("{reason};factory_taken"))
        );
        fs::remove_dir_all(disk.plugin("E.dsplug")).unwrap();
        // By itself it is refused, and runs for nobody.
        Plugin::new("E").without(key).write(disk.at(PLUGINS));
        let alone = ("not_loadable".to_owned(), reason.to_owned());
        assert_eq!(said("E.dsplug"), alone);
        // What is not read may have the same.
        let unread = Plugin::new("U").write(disk.at(PLUGINS));
        fs::write(unread.join("Contents/Info.plist"), vec![b' '; 9 << 20]).unwrap();
        assert_eq!(said("E.dsplug").0, "unknown");
        assert_eq!(said("A.dsplug"), shadowed);
        fs::remove_dir_all(unread).unwrap();
        fs::remove_dir_all(disk.plugin("E.dsplug")).unwrap();
    }
    // By another path it is the same.
    let plugin = Plugin::new("E").factory(&dsplug_fixtures::plugin::factory("D"));
    let nested = plugin
        .without("CFPlugInTypes")
        .write(disk.dir(format!("{PLUGINS}/sub")));
    let not_listed = ("not_loadable", "not_listed;no_plugin_types");
    let unlisted = said("E.dsplug");
    assert_eq!((&*unlisted.0, &*unlisted.1), not_listed);
    disk.link(format!("{PLUGINS}/L.dsplug"), "sub/E.dsplug");
    let taken = "maybe_listed;no_plugin_types;factory_taken";
    assert_eq!(said("E.dsplug"), ("unknown".into(), taken.into()));
    fs::remove_dir_all(nested).unwrap();
    fs::remove_file(disk.plugin("L.dsplug")).unwrap();
    // Without code for a CPU of today nothing of it runs.
    let old = Plugin::new("E").factory(&dsplug_fixtures::plugin::factory("D"));
    let old = old.executable(MachO::bundle(Cpu::I386).unsigned());
    old.write(disk.at(PLUGINS));
    assert_eq!(said("E.dsplug").0, "not_loadable");
    fs::remove_dir_all(disk.plugin("E.dsplug")).unwrap();
    // Nor does one that the loader does not look at take any.
    Plugin::new("F")
        .factory(&dsplug_fixtures::plugin::factory("D"))
        .write(disk.at(PLUGINS).join("sub"));
    assert_eq!(said("D.dsplug").0, "loadable");
}

/// What a key has in the end that is overridden by one which is overridden itself follows from the order in
/// which CoreFoundation's hash table holds the three: asked, it took `-macos` here, and `-macos-macos` of
/// other keys.
#[test]
fn what_is_overridden_twice_is_not_known() {
    let factories = Plugin::new("A").info_plist();
    let factories: plist::Dictionary = plist::from_bytes(&factories).unwrap();
    let factories = factories["CFPlugInFactories"].clone();
    for (key, chain) in [
        ("CFPlugInFactories", "-macos-macos"),
        ("CFPluginNameString", "-macos-macos~"),
        ("NSExecutable", "-macos~-macos"),
        ("CFPlugInTypes", "~-macos"),
    ] {
        let disk = Disk::new();
        Plugin::new("A")
            .without("CFPlugInFactories")
            .key("CFPlugInFactories-macos", factories.clone())
            .key(&format!("{key}{chain}"), "odd")
            .write(disk.at(PLUGINS));
        let row = only_bundle(disk.path());
        assert_eq!(row["load_verdict"], "unknown", "{key}{chain}");
        assert_eq!(row["load_reasons"], "overridden_twice", "{key}{chain}");
    }
    let disk = Disk::new();
    Plugin::new("A")
        .key("CFBundleName-macos", "B")
        .key("CFBundleName-macos-macos", "C")
        .key(
            "CFPlugInTypes-macosx-macos",
            "no override of a key that is asked for",
        )
        .write(disk.at(PLUGINS));
    assert_eq!(only_bundle(disk.path())["load_verdict"], "loadable");
}
