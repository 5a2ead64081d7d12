//! osquery's own format of a pack: strict JSON. Written from the queries, and read by `detect`.

use serde_json::{Map, Value, json};

use super::{OLDEST_OSQUERY, PackError, Query, restriction};
use crate::order;

/// The pack that the binary holds.
pub const EMBEDDED: &str = include_str!("../../packs/dsplug.conf");
/// The small pack.
pub const EMBEDDED_QUIET: &str = include_str!("../../packs/dsplug-quiet.conf");
/// Its name: osqueryd calls its queries `pack_dsplug_…`.
pub const NAME: &str = "dsplug";
/// The key of the files that `file_events` watches.
pub const WATCHED: &str = "dsplug";
/// What osquery watches for `file_events`, `%` being any name and `%%` any depth.
///
/// A path that ends in `%%` fires for whatever begins with what stands before it, letter case
/// included (osquery: `FSEventsEventPublisher::shouldFire`), so the parents are watched: whoever
/// creates, renames or replaces `PlugIns` or `Modules` as a whole is seen, and so is all below it
/// under another case of its name. `PlugIns/%%` beside its parent is for a `PlugIns` that is a
/// symlink: osquery resolves what stands before the wildcard when it reads its configuration.
pub const WATCHED_PATHS: &[&str] = &[
    "/Library/DirectoryServices",
    "/Library/DirectoryServices/%%",
    "/Library/DirectoryServices/PlugIns/%%",
    "/Library/OpenDirectory/%",
    "/Library/OpenDirectory/Modules/%%",
];
/// osquery's default of `interval`, in seconds.
pub const DEFAULT_INTERVAL: u64 = 3600;
/// Beginnings and ends of names that osquery keeps for itself in its database.
const RESERVED_BEGINNINGS: &[&str] = &["query.", "cache.", "config_views."];
const RESERVED_ENDS: &[&str] = &["counter", "epoch"];

/// A query as it is scheduled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// The name that result lines bear: `pack_PACK_QUERY`.
    pub name: String,
    /// The query.
    pub sql: String,
    /// Seconds between two runs.
    pub interval: u64,
    /// True when each run is logged whole.
    pub snapshot: bool,
    /// True when rows that go are logged.
    pub removed: bool,
}

/// A pack as it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pack {
    /// The queries that a Mac runs.
    pub queries: Vec<Scheduled>,
    /// Queries that must each give a row, or nothing of the pack runs.
    pub discovery: Vec<String>,
    /// What a Mac does not run, the pack as a whole or queries of it: its name and why.
    pub left_out: Vec<(String, String)>,
}

/// The pack in osquery's format.
pub fn write(queries: &[Query]) -> String {
    let mut pack = pack_of(queries);
    pack.insert("file_paths".into(), json!({ WATCHED: WATCHED_PATHS }));
    pretty(&pack.into())
}

/// The small pack, in the same format: the queries that whoever pays by the byte cannot do without.
pub fn write_quiet(queries: &[Query]) -> String {
    let quiet: Vec<Query> = queries.iter().filter(|q| q.quiet).cloned().collect();
    pretty(&pack_of(&quiet).into())
}

/// The part of a pack that Elastic takes too.
pub(super) fn pack_of(queries: &[Query]) -> Map<String, Value> {
    let entries = queries.iter().map(|q| (q.name.clone(), entry(q)));
    let entries: Map<String, Value> = entries.collect();
    let mut pack = Map::new();
    pack.insert("platform".into(), "darwin".into());
    pack.insert("version".into(), OLDEST_OSQUERY.into());
    pack.insert("queries".into(), entries.into());
    pack
}

/// One query. `snapshot` and `removed` always stand there: Elastic's defaults are not osquery's.
pub(super) fn entry(query: &Query) -> Value {
    json!({
        "query": query.sql,
        "interval": query.interval,
        "platform": query.platform,
        "version": query.osquery,
        "snapshot": query.snapshot,
        "removed": query.removed,
        "denylist": false,
        "description": description(query),
        "value": value(query),
    })
}

/// What it detects, what it adds to the others, what it costs, and how its lines are capped.
pub(super) fn description(query: &Query) -> String {
    let parts = [&query.detects, &query.adds, &cost(query), &query.cap];
    let parts: Vec<&str> = parts.into_iter().map(String::as_str).collect();
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

/// What a thousand hosts cost; empty where nobody can say.
fn cost(query: &Query) -> String {
    // A line of N bytes from each of a thousand hosts is N kilobytes.
    let kilobytes = query.line_bytes;
    match (query.line_bytes, query.snapshot) {
        (0, _) => String::new(),
        (_, true) => {
            format!("A thousand hosts with one bundle each log about {kilobytes} kB a day.")
        }
        (_, false) => format!(
            "A thousand hosts log nothing while nothing changes, and about {kilobytes} kB when one bundle changes on each."
        ),
    }
}

fn value(query: &Query) -> String {
    let mut value = format!("{} ({})", query.severity.as_str(), query.mitre.join(", "));
    if !query.flags.is_empty() {
        value.push_str("; needs ");
        value.push_str(&query.flags.join(" "));
    }
    value
}

/// JSON over several lines, with a newline at the end.
pub(super) fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// The JSON of a configuration or pack of osquery: a backslash at the end of a line joins it with the
/// next, and a line that begins with `#` or `//` is a comment (osquery: `stripConfigComments` of
/// config.cpp).
pub fn osquery_json(text: &str) -> String {
    let is_comment = |line: &&str| {
        let line = line.trim_start();
        line.starts_with('#') || line.starts_with("//")
    };
    let joined = text.replace("\\\n", "");
    let lines = joined.split('\n').filter(|line| !is_comment(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// Reads a pack of that name, as osqueryd on a Mac reads it. `shard` is left aside: which hosts it
/// leaves out goes by their names, and here a person has chosen to run it.
///
/// # Errors
/// When it is not one, or a query of it that would run is not valid.
pub fn read(name: &str, text: &str) -> Result<Pack, PackError> {
    let fail = |why: String| PackError::new(format!("pack {name}"), why);
    let pack: Value =
        serde_json::from_str(&osquery_json(text)).map_err(|e| fail(format!("no JSON: {e}")))?;
    let mut read = Pack::default();
    if let Some(why) = restriction::leaves_out(&pack) {
        read.left_out.push((format!("the pack {name}"), why));
        return Ok(read);
    }
    let queries = pack
        .get("queries")
        .and_then(Value::as_object)
        .ok_or_else(|| fail("it has no object `queries`".into()))?;
    // What is no list, or no text in it, osquery passes over.
    let discovery = pack.get("discovery").and_then(Value::as_array);
    let discovery = discovery.into_iter().flatten().filter_map(Value::as_str);
    read.discovery = discovery.map(str::to_owned).collect();
    for (query, entry) in queries {
        if let Some(why) = restriction::leaves_out(entry) {
            read.left_out.push((format!("pack_{name}_{query}"), why));
            continue;
        }
        let query =
            scheduled(name, query, entry).map_err(|why| fail(format!("query {query}: {why}")))?;
        read.queries.push(query);
    }
    // As osquery orders them when none has a startup priority.
    order::sort_by(&mut read.queries, |a, b| a.name.cmp(&b.name));
    Ok(read)
}

/// True for a name of a query that osquery keeps for itself in its database.
pub fn is_reserved(name: &str) -> bool {
    RESERVED_ENDS.iter().any(|end| name.ends_with(end))
        || RESERVED_BEGINNINGS
            .iter()
            .any(|begin| name.starts_with(begin))
}

/// True for seconds between two runs that osquery schedules (osquery: `kMaxQueryInterval`).
pub fn is_interval(seconds: u64) -> bool {
    (1..=604_800).contains(&seconds)
}

fn scheduled(pack: &str, name: &str, entry: &Value) -> Result<Scheduled, String> {
    if is_reserved(name) {
        return Err("osquery keeps that name for itself".into());
    }
    let sql = entry.get("query").and_then(Value::as_str);
    let sql = sql.filter(|s| !s.trim().is_empty()).ok_or("no `query`")?;
    let interval = match entry.get("interval") {
        None => DEFAULT_INTERVAL,
        Some(value) => whole(value).ok_or("`interval` is no number of seconds")?,
    };
    if !is_interval(interval) {
        return Err("`interval` is not from 1 to 604800 seconds".into());
    }
    Ok(Scheduled {
        name: format!("pack_{pack}_{name}"),
        sql: sql.to_owned(),
        interval,
        snapshot: flag(entry, "snapshot", false)?,
        removed: flag(entry, "removed", true)?,
    })
}

/// A number, which osquery takes as text too.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// A flag, which osquery takes as text too.
fn flag(entry: &Value, key: &str, default: bool) -> Result<bool, String> {
    match entry.get(key) {
        None => Ok(default),
        Some(Value::Bool(b)) => Ok(*b),
        Some(Value::String(s)) if s == "true" || s == "false" => Ok(s == "true"),
        Some(_) => Err(format!("`{key}` is neither true nor false")),
    }
}
