-- changed_on_day: everything that changed in the fleet on one day
--
-- question: What happened on the day of the incident, in order, on every Mac?
-- answer: Set day_asked to the day, as 2026-11-28; left empty it is the last one on which a good part of
--   the fleet wrote (one wrong clock does not make a day). new_to_fleet = yes marks a digest that no
--   Mac had before that day. A base line is here only with such a digest: a Mac that was imaged again
--   is no news, and one whose first answer has what nobody knows is. Look at the day after as well: a
--   Mac that was asleep tells later; the event's own time says when it saw it (event_time).
-- cost: The log is read once.
WITH settings AS (
  SELECT '' AS day_asked
),
pack_lines AS (
  SELECT host, day, time_utc, unix_time, counter, dsplug_query, digest, previous_digest,
    signature_state, signer, team_identifier, changed, event_time,
    CASE WHEN event_action <> '' THEN event_action ELSE action END AS what,
    CASE WHEN target_path <> '' THEN target_path WHEN filename <> '' THEN filename ELSE path END
      AS what_path,
    CASE WHEN dsplug_query IN ('modified', 'events', 'inventory') THEN digest ELSE '' END
      AS bundle_digest
  FROM dsplug_lines
  WHERE dsplug_query <> ''
),
ranked AS (
  SELECT host, day, time_utc, unix_time, counter, dsplug_query, digest, previous_digest,
    signature_state, signer, team_identifier, changed, event_time, what, what_path, bundle_digest,
    DENSE_RANK() OVER (PARTITION BY day, bundle_digest ORDER BY host) AS host_number,
    MIN(day) OVER (PARTITION BY bundle_digest) AS digest_day
  FROM pack_lines
),
measured AS (
  SELECT host, day, time_utc, unix_time, counter, dsplug_query, digest, previous_digest,
    signature_state, signer, team_identifier, changed, event_time, what, what_path, bundle_digest,
    host_number, digest_day, MAX(host_number) OVER () AS most
  FROM ranked
),
dated AS (
  SELECT host, day, time_utc, unix_time, counter, dsplug_query, digest, previous_digest,
    signature_state, signer, team_identifier, changed, event_time, what, what_path, bundle_digest,
    CASE WHEN bundle_digest = '' THEN '' ELSE digest_day END AS first_day,
    MAX(CASE WHEN host_number * 4 > most THEN day ELSE '' END) OVER () AS newest_day
  FROM measured
)
SELECT time_utc, host, dsplug_query, what, what_path, digest, previous_digest, signature_state,
  signer, team_identifier, changed, event_time,
  CASE WHEN first_day = day THEN 'yes' ELSE 'no' END AS new_to_fleet,
  CASE WHEN counter = 0 THEN 'yes' ELSE 'no' END AS base_line
FROM dated
CROSS JOIN settings
WHERE day = CASE WHEN day_asked = '' THEN newest_day ELSE day_asked END
  AND dsplug_query <> 'inventory'
  AND (counter > 0
    OR dsplug_query IN ('files_written', 'files_written_by', 'helper_opened')
    OR first_day = day)
ORDER BY unix_time, host, dsplug_query, what_path, what, digest;
