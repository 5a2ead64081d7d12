//! What the binary promises, checked in its bytes.

use std::fs;
use std::path::{Path, PathBuf};

use super::program::{IDENTIFIER, both, linked, program, sign, tool, universal};
use dsplug_fixtures::macho::Cpu;
use tempfile::TempDir;

/// What `check.py` says of a file: its status, and its lines on standard error.
fn check(path: &Path) -> (bool, String) {
    let output = tool("check.py")
        .unwrap()
        .args(["--identifier", IDENTIFIER])
        .arg(path)
        .output()
        .unwrap();
    (
        output.status.success(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn every_promise_of_the_binary_is_checked() {
    if tool("check.py").is_none() {
        return;
    }
    let adhoc = || tool("adhoc.py").unwrap();
    let (_folder, path) = both(|program| program);
    sign(adhoc(), &path);
    assert_eq!(check(&path), (true, String::new()));

    // A flipped byte of code, in the slice that comes last.
    let mut bytes = fs::read(&path).unwrap();
    let place = bytes.len() - 10_000;
    bytes[place] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (held, said) = check(&path);
    assert!(!held && said.contains("does not match its hash"), "{said}");

    let fails = |path: &Path, fault: &str| {
        let (held, said) = check(path);
        assert!(!held && said.contains(fault), "{fault}: {said}");
    };
    let signed_fails = |(folder, path): (TempDir, PathBuf), fault: &str| {
        sign(adhoc(), &path);
        fails(&path, fault);
        drop(folder);
    };
    let framework = "/System/Library/Frameworks/Security.framework/Versions/A/Security";
    signed_fails(
        both(|program| program.dylib_path(framework)),
        "arm64: links /System/Library/Frameworks/Security",
    );
    signed_fails(
        both(|program| program.code_len(5_000_000)),
        "not under 5000000",
    );
    signed_fails(
        both(|mut program| {
            // LC_DYSYMTAB with three local symbols.
            let mut command = vec![0xB_u32, 80, 0, 3];
            command.resize(20, 0);
            program
                .commands
                .push(command.iter().flat_map(|n| n.to_le_bytes()).collect());
            program
        }),
        "not stripped: 3 local symbols",
    );
    let newer = |cpu, minimum| (cpu, linked(&program(cpu, minimum)));
    signed_fails(
        universal(&[
            newer(Cpu::X86_64, 0x000B_0000),
            newer(Cpu::Arm64, 0x000C_0000),
        ]),
        "arm64: names minimum macOS 12.0, not 11.0",
    );
    signed_fails(
        universal(&[newer(Cpu::Arm64, 0x000B_0000)]),
        "no x86_64 slice",
    );

    let (_folder, path) = both(|program| program);
    fails(&path, "signed without the hardened runtime");
    fails(&path, "signed as linker, not as com.dsplug.extension");
    let slice = |cpu| (cpu, program(cpu, 0x000B_0000).unsigned());
    let (_folder, path) = universal(&[slice(Cpu::X86_64), slice(Cpu::Arm64)]);
    fails(&path, "x86_64: not signed");
}
