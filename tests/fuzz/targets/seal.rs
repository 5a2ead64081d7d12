//! The list of sealed resources, its rules included, signed as it is in a bundle of one of everything.
#![no_main]

use std::cell::RefCell;

use dsplug::codesign::sha1_entries;
use dsplug_fixtures::Disk;
use dsplug_fixtures::signed_bundle::SignedBundle;
use dsplug_fuzz::{NAME, Sealed, info_plist};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static BUNDLE: RefCell<Sealed> = RefCell::new({
        let disk = Disk::empty();
        let bundle = SignedBundle::full(NAME).with_info_plist(info_plist());
        Sealed::read(&bundle.write(disk.path()))
    });
}

fuzz_target!(|seal: &[u8]| {
    BUNDLE.with_borrow_mut(|bundle| {
        let signature = bundle.judge(seal);
        assert_eq!(signature.sealed.len(), bundle.len());
    });
    let entries: [&[u8]; 2] = [b"Contents/Info.plist", b"Contents/Resources/schema.txt"];
    sha1_entries(
        b"Contents/_CodeSignature/CodeResources",
        seal,
        &entries,
        |path| path,
    );
});
