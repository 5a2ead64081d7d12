//! Attributes, certificates and timestamp in which every signature holds.
#![no_main]

use dsplug::codesign::{Anchor, SignatureState};
use dsplug_fuzz::TEAM;
use dsplug_fuzz::signer::{ROOT, Resigned, TIME};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static RESIGNED: Resigned = {
        let resigned = Resigned::new();
        let facts = resigned.judge(&[]).unwrap();
        // Else every input would stay at the door.
        assert_eq!(facts.state(), SignatureState::Signed, "{facts:#?}");
        assert_eq!(facts.signing_time(), Some(TIME));
        resigned
    };
}

fuzz_target!(|input: &[u8]| {
    let Some(facts) = RESIGNED.with(|resigned| resigned.judge(input)) else {
        return;
    };
    let [slice] = facts.slices.as_slice() else {
        panic!("{} slices", facts.slices.len());
    };
    if slice.state() == SignatureState::Signed {
        // Who is named is whom the chain leads to.
        assert_eq!(slice.authority.first(), Some(&slice.claimed_signer));
        assert_eq!(slice.authority.last().map(String::as_str), Some(ROOT));
    }
    let trusted = !matches!(slice.anchor, Anchor::None | Anchor::Untrusted);
    assert!(!trusted || slice.authority.len() >= 2);
    assert!(slice.signing_time.is_none() || !slice.authority.is_empty());
    assert_eq!(slice.team_identifier(), TEAM);
});
