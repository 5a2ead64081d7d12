-- prevalence_signer: on how many Macs each signer's bundles stand
--
-- question: Whose code is in the plug-in folders of the fleet, and how much of it is nobody's?
-- answer: Each team that you do not know is a question to its vendor. One name with two teams is a
--   certificate that was made to look like another's. Rows without a signer are unsigned, ad hoc or
--   broken: prevalence_digest tells which contents those are.
-- cost: The log is read once.
WITH held AS (
  SELECT host, signature_state, anchor, signer, team_identifier, digest, path,
    MIN(day) AS since,
    MAX(day) AS until,
    MAX(CASE WHEN dsplug_query = 'inventory' THEN unix_time ELSE 0 END) AS inventory_time
  FROM dsplug_lines
  WHERE dsplug_query IN ('modified', 'events', 'inventory')
  GROUP BY host, signature_state, anchor, signer, team_identifier, digest, path
),
ranked AS (
  SELECT host, signature_state, anchor, signer, team_identifier, digest, path, since, until,
    inventory_time,
    DENSE_RANK() OVER (ORDER BY host) AS host_number,
    MAX(inventory_time) OVER (PARTITION BY host) AS newest_inventory
  FROM held
),
counted AS (
  SELECT host, signature_state, anchor, signer, team_identifier, digest, path, since, until,
    inventory_time, newest_inventory, MAX(host_number) OVER () AS all_hosts
  FROM ranked
)
SELECT signature_state, anchor, signer, team_identifier,
  COUNT(DISTINCT host) AS hosts,
  FLOOR(1e4 * COUNT(DISTINCT host) / MAX(all_hosts) + 0.5) / 100 AS percent,
  COUNT(DISTINCT CASE
    WHEN inventory_time > 0 AND inventory_time = newest_inventory THEN host END) AS hosts_now,
  COUNT(DISTINCT digest) AS digests,
  COUNT(DISTINCT path) AS paths,
  MIN(path) AS a_path,
  MIN(since) AS first_day,
  MAX(until) AS last_day
FROM counted
WHERE signature_state <> ''
GROUP BY signature_state, anchor, signer, team_identifier
ORDER BY hosts, signature_state, anchor, signer, team_identifier;
