//! The file in which `detect` keeps what the last run saw: what is read is kept as it is.
#![no_main]

use std::fs;

use dsplug::detect::state::State;
use dsplug_fixtures::Disk;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static DISK: Disk = Disk::empty();
}

fuzz_target!(|bytes: &[u8]| {
    DISK.with(|disk| {
        let path = disk.at("state");
        fs::write(&path, bytes).unwrap();
        if let Ok(state) = State::load(&path, |_| true) {
            state.save(&path).unwrap();
            assert_eq!(State::load(&path, |_| true).unwrap(), state);
        }
    });
});
