//! Patterns of paths as `glob` and `fnmatch` take them: of stars, and no slash is matched by one.

/// True where the pattern, in which a star is any part of a name, matches the path. A pattern with signs that
/// mean more (`?`, brackets, braces, a tilde) matches nothing here.
pub fn matches(pattern: &str, path: &str) -> bool {
    let patterns: Vec<&str> = pattern.split('/').collect();
    let names: Vec<&str> = path.split('/').collect();
    patterns.len() == names.len() && begins(&patterns, &names)
}

/// The same of osquery's own (`resolveFilePattern`): `%` is a star, and two at the end are what is below as well.
pub fn resolves_to(pattern: &str, path: &str) -> bool {
    let pattern = pattern.replace('%', "*");
    // osquery resolves the links on the way, of which this is on every Mac.
    let pattern = pattern.strip_prefix("/private").unwrap_or(&pattern);
    let path = path.strip_prefix("/private").unwrap_or(path);
    if !pattern.ends_with("**") {
        return matches(pattern, path);
    }
    let patterns: Vec<&str> = pattern.split('/').collect();
    let names: Vec<&str> = path.split('/').collect();
    patterns.len() <= names.len() && begins(&patterns, &names)
}

fn begins(patterns: &[&str], names: &[&str]) -> bool {
    let mut pairs = patterns.iter().zip(names);
    pairs.all(|(pattern, name)| is_name(pattern, name))
}

/// One name. A dot at its beginning is matched by a dot alone.
fn is_name(pattern: &str, name: &str) -> bool {
    if pattern.contains(['?', '[', ']', '{', '}', '~', '\\']) {
        return false;
    }
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return name.ends_with(part);
        }
        // The first place will do: a later one leaves less for the rest.
        let Some((_, behind)) = name.split_once(part) else {
            return false;
        };
        name = behind;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_parts_of_names() {
        for (pattern, is) in [
            ("/p/dsplug.conf", true),
            ("/p/*", true),
            ("/p/*.conf", true),
            ("/*/d*p*g*f", true),
            ("/p/other*.conf", false),
            ("/p/*.conf.x", false),
            ("/*", false),
            ("/p/dsplug.conf*conf", false),
            ("/p/{dsplug,x}.conf", false),
        ] {
            assert_eq!(matches(pattern, "/p/dsplug.conf"), is, "{pattern}");
        }
        assert!(!matches("*.conf", ".x.conf"));
    }

    #[test]
    fn percent_signs_are_stars_and_two_go_down() {
        let path = "/var/osquery/packs/dsplug.conf";
        for pattern in [
            "/var/osquery/packs/%",
            "/var/osquery/%%",
            "/private/var/osquery/packs/%%",
            "/var/osquery/packs/**",
        ] {
            assert!(resolves_to(pattern, path), "{pattern}");
        }
        for pattern in ["/var/osquery/%", "/var/%/o%%", "/var/osquery/packs/a%%"] {
            assert!(!resolves_to(pattern, path), "{pattern}");
        }
    }
}
