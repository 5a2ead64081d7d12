-- prevalence_digest: on how many Macs each digest stands
--
-- question: Is this content everywhere, or on one Mac? A vendor's plug-in stands on many with one
--   digest; what somebody planted stands on few.
-- answer: Read it from the top, the rarest first. A digest on few Macs whose signer is on many is an
--   old version or one that was altered: look at the Mac with investigate_signature. Accept what
--   stands everywhere and is known by an exception for its digest.
-- cost: The log is read twice.
WITH bundles AS (
  SELECT host, day, unix_time, dsplug_query, path, digest, signature_state, signer, team_identifier
  FROM dsplug_lines
  WHERE dsplug_query IN ('modified', 'events', 'inventory')
),
fleet AS (
  SELECT COUNT(DISTINCT host) AS hosts
  FROM bundles
),
dated AS (
  SELECT host, day, unix_time, dsplug_query, path, digest, signature_state, signer, team_identifier,
    MAX(CASE WHEN dsplug_query = 'inventory' THEN unix_time ELSE 0 END)
      OVER (PARTITION BY host) AS newest_inventory
  FROM bundles
)
SELECT digest,
  COUNT(DISTINCT host) AS hosts,
  ROUND(1e2 * COUNT(DISTINCT host) / MAX(fleet.hosts), 2) AS percent,
  COUNT(DISTINCT CASE
    WHEN dsplug_query = 'inventory' AND unix_time = newest_inventory THEN host END) AS hosts_now,
  COUNT(DISTINCT path) AS paths,
  MIN(path) AS a_path,
  MIN(signature_state) AS state,
  MIN(signer) AS signed_by,
  MIN(team_identifier) AS team,
  MIN(day) AS first_day,
  MAX(day) AS last_day
FROM dated
CROSS JOIN fleet
WHERE digest <> ''
GROUP BY digest
ORDER BY hosts, digest;
