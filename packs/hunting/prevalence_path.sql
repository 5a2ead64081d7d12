-- prevalence_path: on how many Macs something stands at each path
--
-- question: Which names stand in the plug-in folders, and how many contents does one name have?
-- answer: A path on few Macs is the odd one out. A path on many Macs with one digest more than it has
--   versions hides an altered copy: prevalence_digest tells on which Mac. A path that is on no Mac
--   now (hosts_now = 0) came and went.
-- cost: The log is read once.
WITH held AS (
  SELECT host, path, digest, signer, team_identifier,
    MIN(day) AS since,
    MAX(day) AS until,
    MAX(CASE WHEN dsplug_query = 'inventory' THEN unix_time ELSE 0 END) AS inventory_time
  FROM dsplug_lines
  WHERE dsplug_query IN ('presence', 'modified', 'events', 'inventory')
  GROUP BY host, path, digest, signer, team_identifier
),
ranked AS (
  SELECT host, path, digest, signer, team_identifier, since, until, inventory_time,
    DENSE_RANK() OVER (ORDER BY host) AS host_number,
    MAX(inventory_time) OVER (PARTITION BY host) AS newest_inventory
  FROM held
),
counted AS (
  SELECT host, path, digest, signer, team_identifier, since, until, inventory_time,
    newest_inventory, MAX(host_number) OVER () AS all_hosts
  FROM ranked
)
SELECT path,
  COUNT(DISTINCT host) AS hosts,
  FLOOR(1e4 * COUNT(DISTINCT host) / MAX(all_hosts) + 0.5) / 100 AS percent,
  COUNT(DISTINCT CASE
    WHEN inventory_time > 0 AND inventory_time = newest_inventory THEN host END) AS hosts_now,
  COUNT(DISTINCT CASE WHEN digest <> '' THEN digest END) AS digests,
  COUNT(DISTINCT CASE
    WHEN signer <> '' OR team_identifier <> '' THEN signer || ' ' || team_identifier END) AS signers,
  MIN(since) AS first_day,
  MAX(until) AS last_day
FROM counted
WHERE path <> ''
GROUP BY path
ORDER BY hosts, path;
