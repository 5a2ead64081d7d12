//! What the file system says of an entry, in the words of each system.

use std::os::fd::AsFd;

use rustix::fs::AtFlags;
use rustix::io::{Errno, retry_on_intr};

use crate::meta::{FORMAT, Kind, Meta, Special, Timestamp};

/// `lstat` of an entry, or of the descriptor itself when the name is empty.
pub(crate) fn meta_of(fd: impl AsFd, name: &[u8]) -> Result<Meta, Errno> {
    meta_and_mount(fd, name).map(|(meta, _)| meta)
}

/// True when a directory is the top of a volume that is mounted in the directory above it, both as they are open.
pub(crate) fn is_mounted_in(above: impl AsFd, below: impl AsFd) -> Result<bool, Errno> {
    let (meta, is_mount) = meta_and_mount(below, b"")?;
    Ok(is_mount || meta.dev != meta_of(above, b"")?.dev)
}

/// The same as [`meta_of`]; true where the system says that it is mounted there. Of another file system the device
/// tells, but one may be mounted in itself.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn meta_and_mount(fd: impl AsFd, name: &[u8]) -> Result<(Meta, bool), Errno> {
    use rustix::fs::{StatxAttributes, StatxFlags};
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
    let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let stat = retry_on_intr(|| rustix::fs::statx(&fd, name, flags, mask))?;
    let mode = u32::from(stat.stx_mode);
    let has_btime = stat.stx_mask & StatxFlags::BTIME.bits() != 0;
    let time = |t: rustix::fs::StatxTimestamp| Timestamp {
        seconds: t.tv_sec,
        nanoseconds: t.tv_nsec,
    };
    let is_mount = stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
    let meta = Meta {
        kind: kind_of(mode, (stat.stx_rdev_major, stat.stx_rdev_minor)),
        size: stat.stx_size,
        mtime: time(stat.stx_mtime),
        ctime: time(stat.stx_ctime),
        btime: has_btime.then_some(stat.stx_btime.tv_sec),
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        mode: mode & 0o7777,
        dev: (u64::from(stat.stx_dev_major) << 32) | u64::from(stat.stx_dev_minor),
        ino: stat.stx_ino,
        names: stat.stx_nlink,
    };
    Ok((meta, is_mount))
}

/// The same as [`meta_of`]. What is mounted has a device of its own here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn meta_and_mount(fd: impl AsFd, name: &[u8]) -> Result<(Meta, bool), Errno> {
    let stat = if name.is_empty() {
        retry_on_intr(|| rustix::fs::fstat(&fd))?
    } else {
        retry_on_intr(|| rustix::fs::statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW))?
    };
    let mode = u32::from(stat.st_mode);
    let time = |seconds: i64, nanoseconds: i64| Timestamp {
        seconds,
        nanoseconds: u32::try_from(nanoseconds).unwrap_or_default(),
    };
    let meta = Meta {
        kind: kind_of(mode, numbers_of(stat.st_rdev)),
        size: u64::try_from(stat.st_size).unwrap_or_default(),
        mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        ctime: time(stat.st_ctime, stat.st_ctime_nsec),
        btime: Some(stat.st_birthtime),
        uid: stat.st_uid,
        gid: stat.st_gid,
        mode: mode & 0o7777,
        dev: u64::try_from(stat.st_dev).unwrap_or_default(),
        ino: stat.st_ino,
        names: u32::from(stat.st_nlink),
    };
    Ok((meta, false))
}

/// True when a flag forbids to remove an entry.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn holds_fast(fd: impl AsFd, name: &[u8]) -> Result<bool, Errno> {
    use rustix::fs::{StatxAttributes, StatxFlags};
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let stat = retry_on_intr(|| rustix::fs::statx(&fd, name, flags, StatxFlags::TYPE))?;
    let fast = StatxAttributes::IMMUTABLE | StatxAttributes::APPEND;
    Ok(stat.stx_attributes.intersects(fast))
}

/// True when a flag forbids to remove an entry: one of `uchg`, `uappnd`, `schg`, `sappnd`, `restricted` and
/// `sunlnk`.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn holds_fast(fd: impl AsFd, name: &[u8]) -> Result<bool, Errno> {
    const FAST: u32 = 0x0000_0006 | 0x001e_0000;
    let stat = retry_on_intr(|| rustix::fs::statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW))?;
    Ok(stat.st_flags & FAST != 0)
}

/// The numbers of a device, of which a Mac keeps the major one in the highest byte.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn numbers_of(device: i32) -> (u32, u32) {
    let [major, minor @ ..] = device.to_be_bytes();
    let [high, middle, low] = minor;
    (major.into(), u32::from_be_bytes([0, high, middle, low]))
}

/// The kind that a mode says, with the numbers of what may be a device.
fn kind_of(mode: u32, (major, minor): (u32, u32)) -> Kind {
    match mode & FORMAT {
        0o040_000 => Kind::Directory,
        0o100_000 => Kind::File,
        0o120_000 => Kind::Symlink,
        format => Kind::Other(Special::of(format, major, minor)),
    }
}
