CREATE OR REPLACE VIEW dsplug_lines AS
WITH stored AS (
  SELECT *
  FROM file(
    'osqueryd.*.log',
    'JSONEachRow',
    'name String, hostIdentifier String, unixTime Int64, epoch Int64, counter Int64, action String, columns Tuple(dsplug_query String, path String, kind String, hash String, previous_hash String, executable String, executable_hash String, bundle_identifier String, load_verdict String, signature_state String, signature_problems String, anchor String, signer String, claimed_signer String, team_identifier String, cdhash String, exception String, action String, changed String, target_path String, filename String, error String, mtime String, ctime String, time String, stood_ms String), snapshot Array(Tuple(dsplug_query String, path String, kind String, hash String, previous_hash String, executable String, executable_hash String, bundle_identifier String, load_verdict String, signature_state String, signature_problems String, anchor String, signer String, claimed_signer String, team_identifier String, cdhash String, exception String, action String, changed String, target_path String, filename String, error String, mtime String, ctime String, time String, stood_ms String))')
  SETTINGS input_format_skip_unknown_fields = 1,
    input_format_json_ignore_unknown_keys_in_named_tuple = 1,
    input_format_json_defaults_for_missing_elements_in_named_tuple = 1,
    input_format_json_read_numbers_as_strings = 1
),
entries AS (
  SELECT name, hostIdentifier, epoch, counter, LEAST(GREATEST(COALESCE(unixTime, 0), 0), 4102444800) AS seconds, action,
    arrayJoin(if(empty(snapshot), [columns], snapshot)) AS entry
  FROM stored
)
SELECT
  COALESCE(hostIdentifier, '') AS host,
  COALESCE(seconds, 0) AS unix_time,
  COALESCE(epoch, 0) AS epoch,
  COALESCE(counter, 0) AS counter,
  COALESCE(action, '') AS action,
  COALESCE(name, '') AS line_name,
  CASE WHEN entry.dsplug_query <> '' THEN entry.dsplug_query WHEN action = 'snapshot' AND name LIKE '%dsplug%inventory' THEN 'inventory' ELSE '' END AS dsplug_query,
  COALESCE(entry.path, '') AS path,
  COALESCE(entry.kind, '') AS kind,
  COALESCE(entry.hash, '') AS digest,
  COALESCE(entry.previous_hash, '') AS previous_digest,
  COALESCE(entry.executable, '') AS executable,
  COALESCE(entry.executable_hash, '') AS executable_digest,
  COALESCE(entry.bundle_identifier, '') AS bundle_identifier,
  COALESCE(entry.load_verdict, '') AS load_verdict,
  COALESCE(entry.signature_state, '') AS signature_state,
  COALESCE(entry.signature_problems, '') AS signature_problems,
  COALESCE(entry.anchor, '') AS anchor,
  COALESCE(entry.signer, '') AS signer,
  COALESCE(entry.claimed_signer, '') AS claimed_signer,
  COALESCE(entry.team_identifier, '') AS team_identifier,
  COALESCE(entry.cdhash, '') AS cdhash,
  COALESCE(entry.exception, '') AS exception,
  COALESCE(entry.action, '') AS event_action,
  COALESCE(entry.changed, '') AS changed,
  COALESCE(entry.target_path, '') AS target_path,
  COALESCE(entry.filename, '') AS filename,
  COALESCE(entry.error, '') AS error,
  COALESCE(toInt64OrZero(entry.mtime), 0) AS mtime,
  COALESCE(toInt64OrZero(entry.ctime), 0) AS ctime,
  COALESCE(toInt64OrZero(entry.time), 0) AS event_time,
  COALESCE(toInt64OrZero(entry.stood_ms), 0) AS stood_ms,
  formatDateTime(toDateTime64(seconds, 0, 'UTC'), '%F') AS day,
  formatDateTime(toDateTime64(seconds, 0, 'UTC'), '%F %T') AS time_utc
FROM entries;
