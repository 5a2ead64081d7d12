//! The view that the questions ask, for each engine, and the tables of those that keep no files.
//!
//! A line is osquery's: one row in `columns`, or a snapshot with all of them (`serializeQueryLogItem`
//! of osquery's `core/query.cpp`). The view has one row for each, and one without a path for an
//! inventory of a Mac that has no plug-in. What is not there is `''` or 0, never NULL.

use super::super::NAME_COLUMN;

/// What the view has of a row's columns as text: its name in the view, and the pack's. Some words of
/// the pack are another thing beside the row (`action`), or reserved somewhere (`hash`).
const TEXTS: &[(&str, &str)] = &[
    ("path", "path"),
    ("kind", "kind"),
    ("digest", "hash"),
    ("previous_digest", "previous_hash"),
    ("executable", "executable"),
    ("executable_digest", "executable_hash"),
    ("bundle_identifier", "bundle_identifier"),
    ("load_verdict", "load_verdict"),
    ("signature_state", "signature_state"),
    ("signature_problems", "signature_problems"),
    ("anchor", "anchor"),
    ("signer", "signer"),
    ("claimed_signer", "claimed_signer"),
    ("team_identifier", "team_identifier"),
    ("cdhash", "cdhash"),
    ("exception", "exception"),
    ("event_action", "action"),
    ("changed", "changed"),
    ("target_path", "target_path"),
    ("filename", "filename"),
    ("error", "error"),
];

/// The same for numbers; 0 where there is none.
const NUMBERS: &[(&str, &str)] = &[
    ("mtime", "mtime"),
    ("ctime", "ctime"),
    ("event_time", "time"),
    ("stood_ms", "stood_ms"),
];

/// What an engine does not say as the others do.
struct Engine {
    /// The file, below `packs/hunting/views`.
    file: &'static str,
    /// The statement. `@beside@` stands for the fields of a line with their types, `@row@` for those of
    /// a row, `@names@` for the names of the latter and `@columns@` for the view's columns.
    statement: &'static str,
    /// Text and number, as its types.
    types: [&'static str; 2],
    /// A field with its type, beside the row and in it.
    field: [&'static str; 2],
    /// What stands before the name of a row's column.
    of_row: &'static str,
    /// A text as a number, where it is one; `@@` stands for the text.
    number: &'static str,
}

/// What stands beside the row in a line, and whether it is a number.
const BESIDE: &[(&str, bool)] = &[
    ("name", false),
    ("hostIdentifier", false),
    ("unixTime", true),
    ("epoch", true),
    ("counter", true),
    ("action", false),
];

/// A host's clock, from 1970 to 2100: beyond that engines fail or wrap round, and one host is not to
/// spoil the answer for all.
const SECONDS: &str = "LEAST(GREATEST(COALESCE(unixTime, 0), 0), 4102444800)";

/// Where the name of a query stands that gave no row: under osqueryd, Fleet and Elastic the inventory's
/// ends like this, and an empty one is how a Mac says that it has no plug-in.
const EMPTY_INVENTORY: &str = "action = 'snapshot' AND name LIKE '%dsplug%inventory'";

const ENGINES: &[Engine] = &[
    Engine {
        file: "duckdb.sql",
        statement: "CREATE OR REPLACE VIEW dsplug_lines AS
WITH stored AS (
  SELECT *
  FROM read_json(
    'osqueryd.*.log',
    format = 'newline_delimited', maximum_object_size = 67108864,
    columns = {
      @beside@,
      columns: 'STRUCT(@row@)',
      snapshot: 'STRUCT(@row@)[]'
    })
),
entries AS (
  SELECT name, hostIdentifier, epoch, counter, @seconds@ AS seconds, action,
    UNNEST(CASE WHEN len(snapshot) > 0 THEN snapshot ELSE [stored.columns] END) AS entry
  FROM stored
)
SELECT
  @columns@,
  strftime(make_timestamp(seconds * 1000000), '%Y-%m-%d') AS day,
  strftime(make_timestamp(seconds * 1000000), '%Y-%m-%d %H:%M:%S') AS time_utc
FROM entries;
",
        types: ["VARCHAR", "BIGINT"],
        field: ["NAME: 'TYPE'", "NAME TYPE"],
        of_row: "entry.",
        number: "TRY_CAST(@@ AS BIGINT)",
    },
    Engine {
        file: "clickhouse.sql",
        statement: "CREATE OR REPLACE VIEW dsplug_lines AS
WITH stored AS (
  SELECT *
  FROM file(
    'osqueryd.*.log',
    'JSONEachRow',
    '@beside@, columns Tuple(@row@), snapshot Array(Tuple(@row@))')
  SETTINGS input_format_skip_unknown_fields = 1,
    input_format_json_ignore_unknown_keys_in_named_tuple = 1,
    input_format_json_defaults_for_missing_elements_in_named_tuple = 1,
    input_format_json_read_numbers_as_strings = 1
),
entries AS (
  SELECT name, hostIdentifier, epoch, counter, @seconds@ AS seconds, action,
    arrayJoin(if(empty(snapshot), [columns], snapshot)) AS entry
  FROM stored
)
SELECT
  @columns@,
  formatDateTime(toDateTime64(seconds, 0, 'UTC'), '%F') AS day,
  formatDateTime(toDateTime64(seconds, 0, 'UTC'), '%F %T') AS time_utc
FROM entries;
",
        types: ["String", "Int64"],
        field: ["NAME TYPE", "NAME TYPE"],
        of_row: "entry.",
        number: "toInt64OrZero(@@)",
    },
    Engine {
        file: "trino.sql",
        statement: "CREATE OR REPLACE VIEW dsplug_lines AS
WITH stored AS (
  SELECT *
  FROM osquery_results
),
entries AS (
  SELECT name, hostIdentifier, epoch, counter, @seconds@ AS seconds, stored.action AS action,
    @names@
  FROM stored
  CROSS JOIN UNNEST(
    CASE WHEN cardinality(snapshot) > 0 THEN snapshot ELSE ARRAY[stored.columns] END)
    AS entry (@names@)
)
SELECT
  @columns@,
  format_datetime(from_unixtime(seconds, 'UTC'), 'yyyy-MM-dd') AS day,
  format_datetime(from_unixtime(seconds, 'UTC'), 'yyyy-MM-dd HH:mm:ss') AS time_utc
FROM entries;
",
        types: ["varchar", "bigint"],
        field: ["NAME TYPE", "NAME TYPE"],
        of_row: "row_",
        number: "TRY_CAST(@@ AS bigint)",
    },
    Engine {
        file: "athena_table.sql",
        statement: "CREATE EXTERNAL TABLE osquery_results (
  @beside@,
  `columns` struct<@row@>,
  `snapshot` array<struct<@row@>>
)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
LOCATION 's3://BUCKET/PREFIX/';
",
        types: ["string", "bigint"],
        field: ["`NAME` TYPE", "`NAME`:TYPE"],
        of_row: "",
        number: "",
    },
    Engine {
        file: "bigquery.sql",
        statement: "CREATE OR REPLACE VIEW dsplug.dsplug_lines AS
WITH stored AS (
  SELECT *
  FROM dsplug.osquery_results
),
entries AS (
  SELECT name, hostIdentifier, epoch, counter, @seconds@ AS seconds, stored.action AS action, entry
  FROM stored
  CROSS JOIN UNNEST(
    IF(ARRAY_LENGTH(snapshot) > 0, snapshot, [stored.columns])) AS entry
)
SELECT
  @columns@,
  FORMAT_TIMESTAMP('%F', TIMESTAMP_SECONDS(seconds)) AS day,
  FORMAT_TIMESTAMP('%F %T', TIMESTAMP_SECONDS(seconds)) AS time_utc
FROM entries;
",
        types: ["STRING", "INT64"],
        field: ["NAME TYPE", "NAME TYPE"],
        of_row: "entry.",
        number: "SAFE_CAST(@@ AS INT64)",
    },
    Engine {
        file: "bigquery_table.sql",
        statement: "CREATE EXTERNAL TABLE dsplug.osquery_results (
  @beside@,
  `columns` STRUCT<@row@>,
  `snapshot` ARRAY<STRUCT<@row@>>
)
OPTIONS (
  format = 'NEWLINE_DELIMITED_JSON',
  ignore_unknown_values = TRUE,
  uris = ['gs://BUCKET/PREFIX/*']
);
",
        types: ["STRING", "INT64"],
        field: ["`NAME` TYPE", "`NAME` TYPE"],
        of_row: "",
        number: "",
    },
];

/// Where each view and table stands, and its statement.
pub fn files() -> Vec<(String, String)> {
    ENGINES
        .iter()
        .map(|engine| {
            (
                format!("packs/hunting/views/{}", engine.file),
                statement(engine),
            )
        })
        .collect()
}

/// The row's columns by the pack's names, in one order everywhere: Trino takes them by their place.
fn row() -> impl Iterator<Item = &'static str> {
    let both = TEXTS.iter().chain(NUMBERS);
    [NAME_COLUMN]
        .into_iter()
        .chain(both.map(|(_, column)| *column))
}

fn statement(engine: &Engine) -> String {
    let [text, number] = engine.types;
    let [beside, within] = engine.field;
    let field = |pattern: &str, name, kind| pattern.replace("NAME", name).replace("TYPE", kind);
    let fields = BESIDE.iter().map(|(name, is_number)| {
        let kind = if *is_number { number } else { text };
        field(beside, name, kind)
    });
    let fields: Vec<String> = fields.collect();
    let rows: Vec<String> = row().map(|name| field(within, name, text)).collect();
    let names: Vec<String> = row()
        .map(|name| format!("{}{name}", engine.of_row))
        .collect();
    engine
        .statement
        .replace("@seconds@", SECONDS)
        .replace("@beside@", &fields.join(", "))
        .replace("@row@", &rows.join(", "))
        .replace("@names@", &names.join(", "))
        .replace("@columns@", &columns(engine).join(",\n  "))
}

/// The view's columns.
fn columns(engine: &Engine) -> Vec<String> {
    let of = engine.of_row;
    let beside = [
        ("hostIdentifier", "host", "''"),
        ("seconds", "unix_time", "0"),
        ("epoch", "epoch", "0"),
        ("counter", "counter", "0"),
        ("action", "action", "''"),
        ("name", "line_name", "''"),
    ];
    let beside =
        beside.map(|(field, name, absent)| format!("COALESCE({field}, {absent}) AS {name}"));
    let query = format!(
        "CASE WHEN {of}{NAME_COLUMN} <> '' THEN {of}{NAME_COLUMN} WHEN {EMPTY_INVENTORY} \
         THEN 'inventory' ELSE '' END AS {NAME_COLUMN}"
    );
    let texts = TEXTS
        .iter()
        .map(|(name, column)| format!("COALESCE({of}{column}, '') AS {name}"));
    let numbers = NUMBERS.iter().map(|(name, column)| {
        let number = engine.number.replace("@@", &format!("{of}{column}"));
        format!("COALESCE({number}, 0) AS {name}")
    });
    let all = beside.into_iter().chain([query]);
    all.chain(texts).chain(numbers).collect()
}
