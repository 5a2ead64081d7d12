//! The configuration profiles.

use super::program::repository;
use plist::Value;

fn profile(name: &str) -> plist::Dictionary {
    let value = Value::from_file(repository().join("install/mdm").join(name)).unwrap();
    let profile = value.into_dictionary().unwrap();
    assert_eq!(profile["PayloadType"].as_string(), Some("Configuration"));
    assert_eq!(profile["PayloadScope"].as_string(), Some("System"));
    let payload = profile["PayloadContent"].as_array().unwrap()[0]
        .as_dictionary()
        .unwrap();
    for part in [&profile, payload] {
        let uuid = part["PayloadUUID"].as_string().unwrap();
        assert_eq!(
            uuid.split('-').map(str::len).collect::<Vec<_>>(),
            [8, 4, 4, 4, 12],
            "{uuid}"
        );
        assert!(
            part["PayloadIdentifier"]
                .as_string()
                .unwrap()
                .starts_with("com.dsplug.")
        );
        assert_eq!(part["PayloadVersion"].as_signed_integer(), Some(1));
    }
    payload.clone()
}

#[test]
fn the_profile_of_exceptions_delivers_preferences() {
    let payload = profile("exceptions.mobileconfig");
    assert_eq!(
        payload["PayloadType"].as_string(),
        Some("com.apple.ManagedClient.preferences")
    );
    let domain = payload["PayloadContent"].as_dictionary().unwrap()["com.dsplug"]
        .as_dictionary()
        .unwrap();
    let forced = domain["Forced"].as_array().unwrap()[0]
        .as_dictionary()
        .unwrap();
    assert!(
        !forced["mcx_preference_settings"]
            .as_dictionary()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn the_profile_of_full_disk_access_names_osqueryd_and_its_signer() {
    let payload = profile("full-disk-access.mobileconfig");
    assert_eq!(
        payload["PayloadType"].as_string(),
        Some("com.apple.TCC.configuration-profile-policy")
    );
    let service = payload["Services"].as_dictionary().unwrap()["SystemPolicyAllFiles"]
        .as_array()
        .unwrap();
    let entry = service[0].as_dictionary().unwrap();
    assert_eq!(entry["Identifier"].as_string(), Some("io.osquery.agent"));
    assert_eq!(entry["IdentifierType"].as_string(), Some("bundleID"));
    assert_eq!(entry["Authorization"].as_string(), Some("Allow"));
    let requirement = entry["CodeRequirement"].as_string().unwrap();
    // An identifier alone is anyone's to claim.
    for part in [
        "identifier \"io.osquery.agent\"",
        "anchor apple generic",
        "subject.OU] = \"3522FA9PXF\"",
    ] {
        assert!(requirement.contains(part), "{requirement}");
    }
}
