//! What Elastic imports for Osquery Manager: the pack, and the settings of the integration.

use serde_json::{Map, Value, json};

use super::{Query, conf};

/// The pack as Osquery Manager's upload takes it: a pack of osquery's.
pub fn pack(queries: &[Query]) -> String {
    conf::pretty(&conf::pack_of(queries).into())
}

/// What goes into the integration's box "Osquery config": the extension, and what an uploaded pack
/// cannot carry.
pub fn settings() -> String {
    conf::pretty(&json!({
        "elastic_options": {
            "extensions": {
                "paths": ["/opt/dsplug/bin/dsplug.ext"],
                "timeout": 10,
                "require": [conf::NAME],
            },
        },
        "file_paths": { conf::WATCHED: conf::WATCHED_PATHS },
    }))
}

/// The body of a call to Osquery Manager's interface for packs, with what an upload cannot carry: the
/// columns that fill fields of the Elastic Common Schema.
pub fn api_pack(queries: &[Query]) -> String {
    let entry = |q: &Query| {
        let ecs = q.ecs.iter();
        let ecs: Map<String, Value> = ecs
            .map(|(field, column)| (field.clone(), json!({ "field": column })))
            .collect();
        json!({
            "query": q.sql,
            "interval": q.interval,
            "platform": q.platform,
            "version": q.osquery,
            "snapshot": q.snapshot,
            "removed": q.removed,
            "ecs_mapping": ecs,
        })
    };
    let entries = queries.iter().map(|q| (q.name.clone(), entry(q)));
    let entries: Map<String, Value> = entries.collect();
    conf::pretty(&json!({
        "name": conf::NAME,
        "description": "DirectoryService plug-ins",
        "enabled": true,
        "queries": entries,
    }))
}
