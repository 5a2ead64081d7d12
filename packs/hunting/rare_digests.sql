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
bundles AS (
  SELECT host, day, unix_time, dsplug_query, path, digest, signature_state, anchor, signer,
    team_identifier, load_verdict,
    MAX(CASE WHEN dsplug_query = 'inventory' THEN unix_time ELSE 0 END)
      OVER (PARTITION BY host) AS newest_inventory
  FROM dsplug_lines
  WHERE dsplug_query IN ('modified', 'events', 'inventory')
)
SELECT digest,
  COUNT(DISTINCT host) AS hosts,
  MIN(host) AS a_host,
  MAX(host) AS another_host,
  MIN(path) AS a_path,
  MIN(signature_state) AS state,
  MIN(anchor) AS anchored,
  MIN(signer) AS signed_by,
  MIN(team_identifier) AS team,
  MAX(load_verdict) AS verdict,
  CASE WHEN MAX(CASE
    WHEN dsplug_query = 'inventory' AND unix_time = newest_inventory THEN 1 ELSE 0 END) = 1
    THEN 'yes' ELSE 'no' END AS on_disk_now,
  MIN(day) AS first_day,
  MAX(day) AS last_day
FROM bundles
CROSS JOIN settings
WHERE digest <> ''
GROUP BY digest
HAVING COUNT(DISTINCT host) < MAX(settings.fewer_than)
ORDER BY hosts, first_day DESC, digest;
