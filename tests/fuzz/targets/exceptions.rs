//! The list of accepted bundles, on a disk; it is root's, as the list must be.
#![no_main]

use std::fs;

use dsplug::exceptions::{Exceptions, SOURCES};
use dsplug::root::Root;
use dsplug_fixtures::Disk;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static DISK: Disk = {
        let disk = Disk::empty();
        disk.file(SOURCES[1].trim_start_matches('/'), "");
        disk
    };
}

fuzz_target!(|bytes: &[u8]| {
    DISK.with(|disk| {
        fs::write(disk.at(SOURCES[1].trim_start_matches('/')), bytes).unwrap();
        let exceptions = Exceptions::read(&Root::open(disk.path()).unwrap(), 1_700_000_000);
        assert!(exceptions.active() <= exceptions.entries.len());
    });
});
