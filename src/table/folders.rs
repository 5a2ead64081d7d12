//! `dsplug_folders`: one row per plug-in folder, whether it exists or not.

use super::column::{TableOf, Value, number, text};
use crate::folders::Folder;
use crate::meta::Meta;
use crate::text::{escape, hex};

/// The table `dsplug_folders`.
pub const FOLDERS: TableOf<Folder> = TableOf {
    name: "dsplug_folders",
    meaning: "One row per plug-in folder, whether it exists or not.",
    bundle: None,
    columns: &[
        text("path", "The folder.", |f| f.path.into()),
        number(
            "exists",
            "1 when a directory stands there, links followed.",
            |f| f.exists.into(),
        ),
        text("resolved_path", "Where it really stands.", |f| {
            escape(&f.resolved_path).into()
        }),
        number(
            "mtime",
            "Its modification time, in seconds: an entry of it came, went or was renamed.",
            |f| own(f, |m| m.mtime.seconds.into()),
        ),
        number("ctime", "Its status-change time, in seconds.", |f| {
            own(f, |m| m.ctime.seconds.into())
        }),
        number(
            "btime",
            "Its creation time, in seconds; NULL where the file system has none.",
            |f| own(f, |m| m.btime.into()),
        ),
        number("uid", "Its owner.", |f| own(f, |m| m.uid.into())),
        number("gid", "Its group.", |f| own(f, |m| m.gid.into())),
        text("mode", "Its permission bits, in octal.", |f| {
            f.meta.map_or_else(String::new, |m| m.octal_mode()).into()
        }),
        text(
            "writable_by",
            "Who can write it, or a directory on the way to it: root, owner, group, others; empty when it does not exist.",
            |f| if f.exists { f.writable_by.as_str() } else { "" }.into(),
        ),
        number("entries", "How many entries it holds itself.", |f| {
            f.entries.into()
        }),
        number("candidates", "How many candidates were found in it.", |f| {
            f.candidates.into()
        }),
        text(
            "anomalies",
            "What is unusual about it, as words separated by ;.",
            |f| f.words(";").into(),
        ),
        text(
            "error",
            "Why it could not be listed, what of it was cut off, or that a volume on the way to it may hide some, as code: detail.",
            |f| {
                f.error
                    .as_ref()
                    .map_or_else(String::new, ToString::to_string)
                    .into()
            },
        ),
        number(
            "ctime_nanoseconds",
            "The nanoseconds of ctime beyond the second.",
            |f| own(f, |m| i64::from(m.ctime.nanoseconds).into()),
        ),
        text(
            "way",
            "Half of a SHA-256 over each directory and each link on the ways to it, and to all else of it that the loader reads, what stands at / left out: another when one of them was renamed, exchanged or written, and when something came where nothing stood. Of a directory on the way that anybody may write the inode alone counts, unless something is missing there. Empty for a folder of the system that is not there.",
            |f| f.way.map_or_else(String::new, |way| hex(&way)).into(),
        ),
    ],
    each: |snapshot, sink| snapshot.folders.iter().try_for_each(sink),
};

fn own(folder: &Folder, get: fn(&Meta) -> Value) -> Value {
    folder.meta.as_ref().map_or(Value::Null, get)
}
