//! A pack that a person names, and a query's header.
#![no_main]

use dsplug::pack::{conf, header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(pack) = conf::read("fuzz", &text) {
        let queries = pack.queries;
        assert!(queries.is_sorted_by(|a, b| a.name < b.name));
        for query in queries {
            assert!(query.name.starts_with("pack_fuzz_"));
            assert!(!query.sql.trim().is_empty());
            assert!((1..=604_800).contains(&query.interval));
        }
    }
    // The header begins with the name that the file has.
    let name = text.strip_prefix("-- ").and_then(|t| t.split_once(": "));
    let name = name.map_or("presence", |(name, _)| name);
    if name.ends_with("counter") || name.ends_with("epoch") {
        // No pack may have it.
        return;
    }
    // What has no interval is run by hand, and in no pack.
    if let Ok(query) = header::parse(name, &text)
        && query.interval > 0
    {
        let written = conf::write(std::slice::from_ref(&query));
        let read = conf::read("fuzz", &written).unwrap();
        // A newer osquery than is known here.
        if !read.left_out.is_empty() {
            return;
        }
        let [read] = read.queries.try_into().unwrap();
        assert_eq!(
            (read.sql, read.interval),
            (query.sql, u64::from(query.interval))
        );
        assert_eq!(
            (read.snapshot, read.removed),
            (query.snapshot, query.removed)
        );
    }
});
