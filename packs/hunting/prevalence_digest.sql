-- prevalence_digest: on how many Macs each digest stands
--
-- question: Is this content everywhere, or on one Mac? A vendor's plug-in stands on many with one
--   digest; what somebody planted stands on few.
-- answer: Read it from the top, the rarest first. A digest on few Macs whose signer is on many is an
--   old version or one that was altered: look at the Mac with investigate_signature. Accept what
--   stands everywhere and is known by an exception for its digest.
-- cost: The log is read once.
WITH held AS (
  SELECT host, digest, path,
    MIN(signature_state) AS state,
    MIN(signer) AS signed_by,
    MIN(team_identifier) AS team,
    MIN(day) AS since,
    MAX(day) AS until,
    MAX(CASE WHEN dsplug_query = 'inventory' THEN unix_time ELSE 0 END) AS inventory_time
  FROM dsplug_lines
  WHERE dsplug_query IN ('modified', 'events', 'inventory')
  GROUP BY host, digest, path
),
ranked AS (
  SELECT host, digest, path, state, signed_by, team, since, until, inventory_time,
    DENSE_RANK() OVER (ORDER BY host) AS host_number,
    MAX(inventory_time) OVER (PARTITION BY host) AS newest_inventory
  FROM held
),
counted AS (
  SELECT host, digest, path, state, signed_by, team, since, until, inventory_time,
    newest_inventory, MAX(host_number) OVER () AS all_hosts
  FROM ranked
)
SELECT digest,
  COUNT(DISTINCT host) AS hosts,
  FLOOR(1e4 * COUNT(DISTINCT host) / MAX(all_hosts) + 0.5) / 100 AS percent,
  COUNT(DISTINCT CASE
    WHEN inventory_time > 0 AND inventory_time = newest_inventory THEN host END) AS hosts_now,
  COUNT(DISTINCT path) AS paths,
  MIN(path) AS a_path,
  MIN(state) AS a_state,
  MIN(signed_by) AS a_signer,
  MIN(team) AS a_team,
  MIN(since) AS first_day,
  MAX(until) AS last_day
FROM counted
WHERE digest <> ''
GROUP BY digest
ORDER BY hosts, digest;
