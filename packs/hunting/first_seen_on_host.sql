-- first_seen_on_host: when each Mac first had a digest that it has not always had
--
-- question: What is new on which Mac, and did the fleet know it before?
-- answer: came_as tells a change that the Mac told of from a digest that its first answer had
--   already; the latter is here only where no other Mac had it before. first_in_fleet = yes is the
--   row to begin with; hours_after_fleet tells a Mac that was late with an update from one that is
--   ahead of all others.
-- cost: The log is read once.
WITH seen AS (
  SELECT digest, host, MIN(unix_time) AS first_time, MIN(time_utc) AS first_utc,
    MIN(path) AS a_path, MIN(signature_state) AS state, MIN(signer) AS signed_by,
    MIN(team_identifier) AS team,
    MAX(CASE WHEN dsplug_query <> 'inventory' AND counter > 0 AND event_action <> 'gone'
      THEN 1 ELSE 0 END) AS change
  FROM dsplug_lines
  WHERE dsplug_query IN ('modified', 'events', 'inventory') AND digest <> ''
  GROUP BY digest, host
),
placed AS (
  SELECT digest, host, first_time, first_utc, a_path, state, signed_by, team, change,
    ROW_NUMBER() OVER (PARTITION BY digest ORDER BY first_time, host) AS place,
    MIN(first_time) OVER (PARTITION BY digest) AS fleet_time,
    COUNT(*) OVER (PARTITION BY digest) AS hosts
  FROM seen
)
SELECT first_utc, host, digest, a_path, state, signed_by, team,
  CASE WHEN change = 1 THEN 'change' ELSE 'base_line' END AS came_as,
  CASE WHEN place = 1 THEN 'yes' ELSE 'no' END AS first_in_fleet,
  FLOOR((first_time - fleet_time) / 36e1 + 0.5) / 10 AS hours_after_fleet,
  hosts
FROM placed
WHERE change = 1 OR place = 1
ORDER BY first_time DESC, host, digest;
