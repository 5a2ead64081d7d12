//! The names of architectures, as `lipo -archs` and `<mach-o/arch.h>` have them.

use std::borrow::Cow;

use object::macho::{
    CPU_TYPE_ARM, CPU_TYPE_ARM64, CPU_TYPE_ARM64_32, CPU_TYPE_POWERPC, CPU_TYPE_POWERPC64,
    CPU_TYPE_X86, CPU_TYPE_X86_64, CpuType,
};

/// The bits of a CPU subtype that tell capabilities, such as arm64e's ABI version, not the kind.
const CAPABILITIES: u32 = 0xff00_0000;

/// A CPU type and subtype.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Architecture {
    /// `cputype` of the Mach-O header.
    pub(crate) cpu: CpuType,
    /// `cpusubtype`, with its capabilities.
    pub(crate) subtype: u32,
}

impl Architecture {
    /// The architecture of those two numbers.
    pub(crate) fn new(cpu: u32, subtype: u32) -> Self {
        Self {
            cpu: CpuType(cpu),
            subtype,
        }
    }

    /// True for the CPU types that macOS or its kin ever ran on.
    pub(crate) fn is_known(self) -> bool {
        [
            CPU_TYPE_ARM,
            CPU_TYPE_ARM64,
            CPU_TYPE_ARM64_32,
            CPU_TYPE_POWERPC,
            CPU_TYPE_POWERPC64,
            CPU_TYPE_X86,
            CPU_TYPE_X86_64,
        ]
        .contains(&self.cpu)
    }

    /// The subtype without its capabilities.
    pub(crate) fn kind(self) -> u32 {
        self.subtype & !CAPABILITIES
    }

    /// True when both name the same kind of CPU.
    pub(crate) fn same_kind(self, other: Self) -> bool {
        self.cpu == other.cpu && self.kind() == other.kind()
    }

    /// Its name; `cpu:subtype` in numbers for one that has none here.
    pub(crate) fn name(self) -> Cow<'static, str> {
        let name = match (self.cpu, self.kind()) {
            (CPU_TYPE_X86_64, 3) => "x86_64",
            (CPU_TYPE_X86_64, 8) => "x86_64h",
            (CPU_TYPE_X86, 3) => "i386",
            (CPU_TYPE_ARM64, 0) => "arm64",
            (CPU_TYPE_ARM64, 1) => "arm64v8",
            (CPU_TYPE_ARM64, 2) => "arm64e",
            (CPU_TYPE_ARM64_32, 0 | 1) => "arm64_32",
            (CPU_TYPE_ARM, 6) => "armv6",
            (CPU_TYPE_ARM, 9) => "armv7",
            (CPU_TYPE_ARM, 11) => "armv7s",
            (CPU_TYPE_ARM, 12) => "armv7k",
            (CPU_TYPE_POWERPC, 0) => "ppc",
            (CPU_TYPE_POWERPC, 10) => "ppc7400",
            (CPU_TYPE_POWERPC, 100) => "ppc970",
            (CPU_TYPE_POWERPC64, 0 | 100) => "ppc64",
            (cpu, kind) => return Cow::Owned(format!("{}:{kind}", cpu.0)),
        };
        Cow::Borrowed(name)
    }
}
