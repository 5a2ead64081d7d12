//! Where a pack, or a query of one, runs: its `platform` and its `version`, as osqueryd takes them.

use serde_json::Value;

/// What is looked at is a Mac, wherever this program runs.
const PLATFORM: &str = "darwin";
/// The osquery whose rules these are: what asks for a newer one may mean what is not known here.
const OSQUERY: [u64; 3] = [5, 23, 1];

/// Why osqueryd on a Mac would leave this pack or query out; none where it would run it.
pub(super) fn leaves_out(entry: &Value) -> Option<String> {
    // What is no text restricts nothing (osquery: `Pack::initialize`).
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    leaves_out_by(text("platform"), text("version"))
}

/// The same by the two texts, empty where there is none.
pub fn leaves_out_by(platform: &str, version: &str) -> Option<String> {
    if !is_for_mac(platform) {
        return Some(format!("it is for the platform {platform}"));
    }
    (!is_met(version)).then(|| format!("it is for osquery {version}"))
}

/// Words are found anywhere in the list (osquery: `checkPlatform` of core/system.cpp).
fn is_for_mac(platform: &str) -> bool {
    let names = |word: &&str| platform.contains(word);
    matches!(platform, "" | "null") || ["any", "all", "posix", PLATFORM].iter().any(names)
}

/// True when [`OSQUERY`] is that version or a newer one (osquery: `versionAtLeast`).
fn is_met(version: &str) -> bool {
    if matches!(version, "" | "null" | "0.0.0") {
        return true;
    }
    let required = version.split('.').map(str::trim).filter(|c| !c.is_empty());
    for (ours, required) in OSQUERY.into_iter().zip(required) {
        let end = required.find(|c: char| !c.is_ascii_digit());
        let digits = required.get(..end.unwrap_or(required.len()));
        let digits = digits.unwrap_or_default();
        // No number at all: compared as text, and equal texts decide nothing.
        if digits.is_empty() {
            if ours.to_string().as_str() < required {
                return false;
            }
            continue;
        }
        // A number that osquery cannot hold makes it drop the pack.
        let number = digits.parse().unwrap_or(u64::MAX);
        if ours != number {
            return ours > number;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn platforms_as_osquery_takes_them() {
        for list in [
            "",
            "null",
            "any",
            "all",
            "posix",
            "darwin",
            "linux,darwin",
            "posix, windows",
        ] {
            assert_eq!(leaves_out(&json!({ "platform": list })), None, "{list}");
        }
        for list in [
            "linux",
            "windows",
            "ubuntu,centos",
            "freebsd",
            "Darwin",
            "macos",
        ] {
            assert!(leaves_out(&json!({ "platform": list })).is_some(), "{list}");
        }
        assert_eq!(leaves_out(&json!({ "platform": 7 })), None);
        assert_eq!(leaves_out(&json!({ "platform": ["linux"] })), None);
    }

    #[test]
    fn versions_as_osquery_takes_them() {
        for version in [
            "",
            "null",
            "0.0.0",
            "1.4.0",
            "5",
            "5.0.1",
            "5.23.1",
            "5.23.1.9",
            "4.99",
            "5.23.1-rc",
        ] {
            assert_eq!(
                leaves_out(&json!({ "version": version })),
                None,
                "{version}"
            );
        }
        for version in ["5.23.2", "5.24", "6", "50.0", "99999999999999999999", "x.1"] {
            assert!(
                leaves_out(&json!({ "version": version })).is_some(),
                "{version}"
            );
        }
        assert_eq!(leaves_out(&json!({ "version": 99 })), None);
    }
}
