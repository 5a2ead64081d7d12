-- hidden_in_base_line: a digest that came to a Mac by a later base line and by no change
--
-- question: Did somebody empty osquery's database, so that what was planted came as the first answer,
--   on which no rule raises an alert?
-- answer: A Mac that was imaged again comes with what the fleet knows: those rows have many hosts. One
--   with a digest on few hosts is to be taken for a change that was hidden; look at when osqueryd
--   started and at who stopped it. An hour after the Mac's first line is what counts as later; edit
--   later_than for a fleet whose Macs take longer to answer every query once.
-- cost: The log is read once.
WITH settings AS (
  SELECT 3600 AS later_than
),
seen AS (
  SELECT host, digest, MIN(unix_time) AS first_time, MIN(time_utc) AS first_utc,
    MIN(path) AS a_path, MIN(signature_state) AS state,
    MIN(signer) AS signed_by, MIN(team_identifier) AS team,
    MIN(CASE WHEN dsplug_query <> 'inventory' AND counter = 0
      THEN unix_time ELSE 4102444800 END) AS base_time,
    MIN(CASE WHEN dsplug_query <> 'inventory' AND counter > 0 AND event_action <> 'gone'
      THEN unix_time ELSE 4102444800 END) AS change_time
  FROM dsplug_lines
  WHERE dsplug_query IN ('modified', 'events', 'inventory', 'folder_changed')
  GROUP BY host, digest
),
counted AS (
  SELECT host, digest, first_time, first_utc, a_path, state, signed_by, team, base_time, change_time,
    MIN(first_time) OVER (PARTITION BY host) AS host_first_time,
    COUNT(*) OVER (PARTITION BY digest) AS hosts
  FROM seen
)
SELECT first_utc, host, digest, a_path, state, signed_by, team, hosts
FROM counted
CROSS JOIN settings
WHERE digest <> ''
  AND first_time > host_first_time + later_than
  AND base_time < first_time + later_than
  AND base_time < change_time
ORDER BY hosts, first_time DESC, host, digest;
