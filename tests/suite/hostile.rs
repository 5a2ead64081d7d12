//! Disks that were laid out to hang, blind, crash or mislead: always a row and an error.

mod beyond;
mod compressed;
mod crowds;
mod dots;
mod dyld;
mod letter_case;
mod limits;
mod links;
mod loads;
pub mod mounts;
mod names;
mod places;
mod specials;
mod systems_own;
mod unreadable;
mod volumes;

use dsplug_fixtures::macho::{Cpu, MachO};

const A: &str = "/Library/DirectoryServices/PlugIns/A.dsplug";

/// The code of a bundle that names these libraries and run paths.
fn code(dylibs: &[&str], rpaths: &[&str]) -> Vec<u8> {
    let code = MachO::bundle(Cpu::X86_64);
    let code = dylibs.iter().fold(code, |code, path| code.dylib_path(path));
    let code = rpaths.iter().fold(code, |code, path| code.rpath(path));
    code.unsigned()
}
