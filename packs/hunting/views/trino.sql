CREATE OR REPLACE VIEW dsplug_lines AS
WITH stored AS (
  SELECT *
  FROM osquery_results
),
entries AS (
  SELECT name, hostIdentifier, epoch, counter, LEAST(GREATEST(COALESCE(unixTime, 0), 0), 4102444800) AS seconds, stored.action AS action,
    row_dsplug_query, row_path, row_kind, row_hash, row_previous_hash, row_executable, row_executable_hash, row_bundle_identifier, row_load_verdict, row_signature_state, row_signature_problems, row_anchor, row_signer, row_claimed_signer, row_team_identifier, row_cdhash, row_exception, row_action, row_changed, row_target_path, row_filename, row_error, row_mtime, row_ctime, row_time, row_stood_ms
  FROM stored
  CROSS JOIN UNNEST(
    CASE WHEN cardinality(snapshot) > 0 THEN snapshot ELSE ARRAY[stored.columns] END)
    AS entry (row_dsplug_query, row_path, row_kind, row_hash, row_previous_hash, row_executable, row_executable_hash, row_bundle_identifier, row_load_verdict, row_signature_state, row_signature_problems, row_anchor, row_signer, row_claimed_signer, row_team_identifier, row_cdhash, row_exception, row_action, row_changed, row_target_path, row_filename, row_error, row_mtime, row_ctime, row_time, row_stood_ms)
)
SELECT
  COALESCE(hostIdentifier, '') AS host,
  COALESCE(seconds, 0) AS unix_time,
  COALESCE(epoch, 0) AS epoch,
  COALESCE(counter, 0) AS counter,
  COALESCE(action, '') AS action,
  COALESCE(name, '') AS line_name,
  CASE WHEN row_dsplug_query <> '' THEN row_dsplug_query WHEN action = 'snapshot' AND name LIKE '%dsplug%inventory' THEN 'inventory' ELSE '' END AS dsplug_query,
  COALESCE(row_path, '') AS path,
  COALESCE(row_kind, '') AS kind,
  COALESCE(row_hash, '') AS digest,
  COALESCE(row_previous_hash, '') AS previous_digest,
  COALESCE(row_executable, '') AS executable,
  COALESCE(row_executable_hash, '') AS executable_digest,
  COALESCE(row_bundle_identifier, '') AS bundle_identifier,
  COALESCE(row_load_verdict, '') AS load_verdict,
  COALESCE(row_signature_state, '') AS signature_state,
  COALESCE(row_signature_problems, '') AS signature_problems,
  COALESCE(row_anchor, '') AS anchor,
  COALESCE(row_signer, '') AS signer,
  COALESCE(row_claimed_signer, '') AS claimed_signer,
  COALESCE(row_team_identifier, '') AS team_identifier,
  COALESCE(row_cdhash, '') AS cdhash,
  COALESCE(row_exception, '') AS exception,
  COALESCE(row_action, '') AS event_action,
  COALESCE(row_changed, '') AS changed,
  COALESCE(row_target_path, '') AS target_path,
  COALESCE(row_filename, '') AS filename,
  COALESCE(row_error, '') AS error,
  COALESCE(TRY_CAST(row_mtime AS bigint), 0) AS mtime,
  COALESCE(TRY_CAST(row_ctime AS bigint), 0) AS ctime,
  COALESCE(TRY_CAST(row_time AS bigint), 0) AS event_time,
  COALESCE(TRY_CAST(row_stood_ms AS bigint), 0) AS stood_ms,
  format_datetime(from_unixtime(seconds, 'UTC'), 'yyyy-MM-dd') AS day,
  format_datetime(from_unixtime(seconds, 'UTC'), 'yyyy-MM-dd HH:mm:ss') AS time_utc
FROM entries;
