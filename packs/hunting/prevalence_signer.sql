-- prevalence_signer: on how many Macs each signer's bundles stand
--
-- question: Whose code is in the plug-in folders of the fleet, and how much of it is nobody's?
-- answer: Each team that you do not know is a question to its vendor. One name with two teams is a
--   certificate that was made to look like another's. Rows without a signer are unsigned, ad hoc or
--   broken: prevalence_digest tells which contents those are.
-- cost: The log is read twice.
WITH bundles AS (
  SELECT host, day, unix_time, dsplug_query, path, digest, signature_state, anchor, signer,
    team_identifier
  FROM dsplug_lines
  WHERE dsplug_query IN ('modified', 'events', 'inventory')
),
fleet AS (
  SELECT COUNT(DISTINCT host) AS hosts
  FROM bundles
),
dated AS (
  SELECT host, day, unix_time, dsplug_query, path, digest, signature_state, anchor, signer,
    team_identifier,
    MAX(CASE WHEN dsplug_query = 'inventory' THEN unix_time ELSE 0 END)
      OVER (PARTITION BY host) AS newest_inventory
  FROM bundles
)
SELECT signature_state, anchor, signer, team_identifier,
  COUNT(DISTINCT host) AS hosts,
  ROUND(1e2 * COUNT(DISTINCT host) / MAX(fleet.hosts), 2) AS percent,
  COUNT(DISTINCT CASE
    WHEN dsplug_query = 'inventory' AND unix_time = newest_inventory THEN host END) AS hosts_now,
  COUNT(DISTINCT digest) AS digests,
  COUNT(DISTINCT path) AS paths,
  MIN(path) AS a_path,
  MIN(day) AS first_day,
  MAX(day) AS last_day
FROM dated
CROSS JOIN fleet
WHERE signature_state <> ''
GROUP BY signature_state, anchor, signer, team_identifier
ORDER BY hosts, signature_state, anchor, signer, team_identifier;
