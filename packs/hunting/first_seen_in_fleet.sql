-- first_seen_in_fleet: when and on which Mac the fleet first had each digest
--
-- question: Where did this content come in, and did it spread?
-- answer: Read it from the top, the newest first. A digest that stayed on its first Mac is worth a
--   look; one that reached many within days is a roll-out: ask whose. What has the log's first day
--   was there before the log.
-- cost: The log is read once.
WITH seen AS (
  SELECT digest, host, MIN(unix_time) AS first_time, MIN(time_utc) AS first_utc,
    MIN(path) AS a_path, MIN(signature_state) AS state, MIN(signer) AS signed_by,
    MIN(team_identifier) AS team, MAX(load_verdict) AS verdict
  FROM dsplug_lines
  WHERE dsplug_query IN ('modified', 'events', 'inventory') AND digest <> ''
  GROUP BY digest, host
),
placed AS (
  SELECT digest, host, first_time, first_utc, a_path, state, signed_by, team, verdict,
    ROW_NUMBER() OVER (PARTITION BY digest ORDER BY first_time, host) AS place,
    COUNT(*) OVER (PARTITION BY digest) AS hosts,
    MAX(first_utc) OVER (PARTITION BY digest) AS newest_host_utc
  FROM seen
)
SELECT first_utc, host AS first_host, digest, hosts, newest_host_utc, a_path, state, signed_by, team,
  verdict
FROM placed
WHERE place = 1
ORDER BY first_time DESC, digest;
