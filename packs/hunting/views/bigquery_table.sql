CREATE EXTERNAL TABLE dsplug.osquery_results (
  `name` STRING, `hostIdentifier` STRING, `unixTime` INT64, `epoch` INT64, `counter` INT64, `action` STRING,
  `columns` STRUCT<`dsplug_query` STRING, `path` STRING, `kind` STRING, `hash` STRING, `previous_hash` STRING, `executable` STRING, `executable_hash` STRING, `bundle_identifier` STRING, `load_verdict` STRING, `signature_state` STRING, `signature_problems` STRING, `anchor` STRING, `signer` STRING, `claimed_signer` STRING, `team_identifier` STRING, `cdhash` STRING, `exception` STRING, `action` STRING, `changed` STRING, `target_path` STRING, `filename` STRING, `error` STRING, `mtime` STRING, `ctime` STRING, `time` STRING, `stood_ms` STRING>,
  `snapshot` ARRAY<STRUCT<`dsplug_query` STRING, `path` STRING, `kind` STRING, `hash` STRING, `previous_hash` STRING, `executable` STRING, `executable_hash` STRING, `bundle_identifier` STRING, `load_verdict` STRING, `signature_state` STRING, `signature_problems` STRING, `anchor` STRING, `signer` STRING, `claimed_signer` STRING, `team_identifier` STRING, `cdhash` STRING, `exception` STRING, `action` STRING, `changed` STRING, `target_path` STRING, `filename` STRING, `error` STRING, `mtime` STRING, `ctime` STRING, `time` STRING, `stood_ms` STRING>>
)
OPTIONS (
  format = 'NEWLINE_DELIMITED_JSON',
  ignore_unknown_values = TRUE,
  uris = ['gs://BUCKET/PREFIX/*']
);
