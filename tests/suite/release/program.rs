//! The tools of a release, and a program to release.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dsplug_fixtures::macho::{Cpu, Fat, MachO};
use dsplug_fixtures::signature::Signature;
use dsplug_fixtures::skipped;
use tempfile::TempDir;

pub const IDENTIFIER: &str = "com.dsplug.extension";

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A tool of the release, or nothing where there is no Python.
pub fn tool(name: &str) -> Option<Command> {
    if Command::new("python3").arg("--version").output().is_err() {
        skipped("no python3");
        return None;
    }
    let mut command = Command::new("python3");
    command
        .arg("-B")
        .arg(repository().join("install/tools").join(name));
    command.env("SOURCE_DATE_EPOCH", "1700000000");
    Some(command)
}

#[track_caller]
pub fn succeed(output: &Output) {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// `LC_BUILD_VERSION` for macOS (platform 1): minimum, SDK 14.0, no tools.
pub fn build_version(minimum: u32) -> Vec<u8> {
    [0x32_u32, 24, 1, minimum, 0x000E_0000, 0]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect()
}

/// A program as a linker leaves it: signed ad hoc, so that the load command is there.
pub fn program(cpu: Cpu, minimum: u32) -> MachO {
    let mut program = MachO::execute(cpu).code_len(20_000);
    program.commands.push(build_version(minimum));
    program
}

pub fn linked(program: &MachO) -> Vec<u8> {
    program.signed(&Signature::adhoc("linker"))
}

/// A universal program on disk.
pub fn universal(programs: &[(Cpu, Vec<u8>)]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dsplug.ext");
    fs::write(&path, Fat::of(programs).build()).unwrap();
    (folder, path)
}

pub fn both(change: impl Fn(MachO) -> MachO) -> (TempDir, PathBuf) {
    let slice = |cpu| (cpu, linked(&change(program(cpu, 0x000B_0000))));
    universal(&[slice(Cpu::X86_64), slice(Cpu::Arm64)])
}

#[track_caller]
pub fn sign(mut adhoc: Command, path: &Path) {
    succeed(
        &adhoc
            .args(["--identifier", IDENTIFIER])
            .arg(path)
            .output()
            .unwrap(),
    );
}
