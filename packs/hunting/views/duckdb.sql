CREATE OR REPLACE VIEW dsplug_lines AS
WITH stored AS (
  SELECT *
  FROM read_json(
    'osqueryd.*.log',
    format = 'newline_delimited', maximum_object_size = 67108864,
    columns = {
      name: 'VARCHAR', hostIdentifier: 'VARCHAR', unixTime: 'BIGINT', epoch: 'BIGINT', counter: 'BIGINT', action: 'VARCHAR',
      columns: 'STRUCT(dsplug_query VARCHAR, path VARCHAR, kind VARCHAR, hash VARCHAR, previous_hash VARCHAR, executable VARCHAR, executable_hash VARCHAR, bundle_identifier VARCHAR, load_verdict VARCHAR, signature_state VARCHAR, signature_problems VARCHAR, anchor VARCHAR, signer VARCHAR, claimed_signer VARCHAR, team_identifier VARCHAR, cdhash VARCHAR, exception VARCHAR, action VARCHAR, changed VARCHAR, target_path VARCHAR, filename VARCHAR, error VARCHAR, mtime VARCHAR, ctime VARCHAR, time VARCHAR, stood_ms VARCHAR)',
      snapshot: 'STRUCT(dsplug_query VARCHAR, path VARCHAR, kind VARCHAR, hash VARCHAR, previous_hash VARCHAR, executable VARCHAR, executable_hash VARCHAR, bundle_identifier VARCHAR, load_verdict VARCHAR, signature_state VARCHAR, signature_problems VARCHAR, anchor VARCHAR, signer VARCHAR, claimed_signer VARCHAR, team_identifier VARCHAR, cdhash VARCHAR, exception VARCHAR, action VARCHAR, changed VARCHAR, target_path VARCHAR, filename VARCHAR, error VARCHAR, mtime VARCHAR, ctime VARCHAR, time VARCHAR, stood_ms VARCHAR)[]'
    })
),
entries AS (
  SELECT name, hostIdentifier, epoch, counter, LEAST(GREATEST(COALESCE(unixTime, 0), 0), 4102444800) AS seconds, action,
    UNNEST(CASE WHEN len(snapshot) > 0 THEN snapshot ELSE [stored.columns] END) AS entry
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
  COALESCE(TRY_CAST(entry.mtime AS BIGINT), 0) AS mtime,
  COALESCE(TRY_CAST(entry.ctime AS BIGINT), 0) AS ctime,
  COALESCE(TRY_CAST(entry.time AS BIGINT), 0) AS event_time,
  COALESCE(TRY_CAST(entry.stood_ms AS BIGINT), 0) AS stood_ms,
  strftime(make_timestamp(seconds * 1000000), '%Y-%m-%d') AS day,
  strftime(make_timestamp(seconds * 1000000), '%Y-%m-%d %H:%M:%S') AS time_utc
FROM entries;
