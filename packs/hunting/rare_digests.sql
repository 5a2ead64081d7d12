-- rare_digests: a digest on fewer than three Macs
--
-- question: Which contents are outliers of the fleet?
-- answer: Edit fewer_than to the size of your fleet. Look at what may load and what nobody known has
--   signed first (verdict, anchored); on_disk_now = no is what came and went, of which the event
--   on the Mac kept a copy.
-- cost: The log is read once.
WITH settings AS (
  SELECT 3 AS fewer_than
),
held AS (
  SELECT host, digest,
    MIN(path) AS some_path,
    MIN(signature_state) AS some_state,
    MIN(anchor) AS some_anchor,
    MIN(signer) AS some_signer,
    MIN(team_identifier) AS some_team,
    MAX(load_verdict) AS some_verdict,
    MIN(day) AS since,
    MAX(day) AS until,
    MAX(CASE WHEN dsplug_query = 'inventory' THEN unix_time ELSE 0 END) AS inventory_time
  FROM dsplug_lines
  WHERE dsplug_query IN ('modified', 'events', 'inventory')
  GROUP BY host, digest
),
dated AS (
  SELECT host, digest, some_path, some_state, some_anchor, some_signer, some_team, some_verdict,
    since, until, inventory_time,
    MAX(inventory_time) OVER (PARTITION BY host) AS newest_inventory
  FROM held
)
SELECT digest,
  COUNT(*) AS hosts,
  MIN(host) AS a_host,
  MAX(host) AS another_host,
  MIN(some_path) AS a_path,
  MIN(some_state) AS state,
  MIN(some_anchor) AS anchored,
  MIN(some_signer) AS signed_by,
  MIN(some_team) AS team,
  MAX(some_verdict) AS verdict,
  CASE WHEN MAX(CASE
    WHEN inventory_time > 0 AND inventory_time = newest_inventory THEN 1 ELSE 0 END) = 1
    THEN 'yes' ELSE 'no' END AS on_disk_now,
  MIN(since) AS first_day,
  MAX(until) AS last_day
FROM dated
CROSS JOIN settings
WHERE digest <> ''
GROUP BY digest
HAVING COUNT(*) < MAX(settings.fewer_than)
ORDER BY hosts, first_day DESC, digest;
