CREATE OR REPLACE VIEW dsplug.dsplug_lines AS
WITH stored AS (
  SELECT *
  FROM dsplug.osquery_results
),
entries AS (
  SELECT name, hostIdentifier, epoch, counter, LEAST(GREATEST(COALESCE(unixTime, 0), 0), 4102444800) AS seconds, stored.action AS action, entry
  FROM stored
  CROSS JOIN UNNEST(
    IF(ARRAY_LENGTH(snapshot) > 0, snapshot, [stored.columns])) AS entry
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
  COALESCE(SAFE_CAST(entry.mtime AS INT64), 0) AS mtime,
  COALESCE(SAFE_CAST(entry.ctime AS INT64), 0) AS ctime,
  COALESCE(SAFE_CAST(entry.time AS INT64), 0) AS event_time,
  COALESCE(SAFE_CAST(entry.stood_ms AS INT64), 0) AS stood_ms,
  FORMAT_TIMESTAMP('%F', TIMESTAMP_SECONDS(seconds)) AS day,
  FORMAT_TIMESTAMP('%F %T', TIMESTAMP_SECONDS(seconds)) AS time_utc
FROM entries;
