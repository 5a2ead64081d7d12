CREATE EXTERNAL TABLE osquery_results (
  `name` string, `hostIdentifier` string, `unixTime` bigint, `epoch` bigint, `counter` bigint, `action` string,
  `columns` struct<`dsplug_query`:string, `path`:string, `kind`:string, `hash`:string, `previous_hash`:string, `executable`:string, `executable_hash`:string, `bundle_identifier`:string, `load_verdict`:string, `signature_state`:string, `signature_problems`:string, `anchor`:string, `signer`:string, `claimed_signer`:string, `team_identifier`:string, `cdhash`:string, `exception`:string, `action`:string, `changed`:string, `target_path`:string, `filename`:string, `error`:string, `mtime`:string, `ctime`:string, `time`:string, `stood_ms`:string>,
  `snapshot` array<struct<`dsplug_query`:string, `path`:string, `kind`:string, `hash`:string, `previous_hash`:string, `executable`:string, `executable_hash`:string, `bundle_identifier`:string, `load_verdict`:string, `signature_state`:string, `signature_problems`:string, `anchor`:string, `signer`:string, `claimed_signer`:string, `team_identifier`:string, `cdhash`:string, `exception`:string, `action`:string, `changed`:string, `target_path`:string, `filename`:string, `error`:string, `mtime`:string, `ctime`:string, `time`:string, `stood_ms`:string>>
)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
LOCATION 's3://BUCKET/PREFIX/';
