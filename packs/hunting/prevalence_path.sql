-- prevalence_path: on how many Macs something stands at each path
--
-- question: Which names stand in the plug-in folders, and how many contents does one name have?
-- answer: A path on few Macs is the odd one out. A path on many Macs with one digest more than it has
--   versions hides an altered copy: prevalence_digest tells on which Mac. A path that is on no Mac
--   now (hosts_now = 0) came and went.
-- cost: The log is read twice.
WITH bundles AS (
  SELECT host, day, unix_time, dsplug_query, path, digest, signer, team_identifier
  FROM dsplug_lines
  WHERE dsplug_query IN ('presence', 'modified', 'events', 'inventory')
),
fleet AS (
  SELECT COUNT(DISTINCT host) AS hosts
  FROM bundles
),
dated AS (
  SELECT host, day, unix_time, dsplug_query, path, digest, signer, team_identifier,
    MAX(CASE WHEN dsplug_query = 'inventory' THEN unix_time ELSE 0 END)
      OVER (PARTITION BY host) AS newest_inventory
  FROM bundles
)
SELECT path,
  COUNT(DISTINCT host) AS hosts,
  ROUND(1e2 * COUNT(DISTINCT host) / MAX(fleet.hosts), 2) AS percent,
  COUNT(DISTINCT CASE
    WHEN dsplug_query = 'inventory' AND unix_time = newest_inventory THEN host END) AS hosts_now,
  COUNT(DISTINCT CASE WHEN digest <> '' THEN digest END) AS digests,
  COUNT(DISTINCT CASE
    WHEN signer <> '' OR team_identifier <> '' THEN signer || ' ' || team_identifier END) AS signers,
  MIN(day) AS first_day,
  MAX(day) AS last_day
FROM dated
CROSS JOIN fleet
WHERE path <> ''
GROUP BY path
ORDER BY hosts, path;
