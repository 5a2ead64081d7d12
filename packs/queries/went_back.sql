-- went_back: a bundle is again what it was before it was changed
--
-- detects: A bundle that was swapped and put back between two runs, and a vendor's plug-in that was
--   put back to a version that had been replaced, taken away in between or not. An exception silences
--   it only when all that stood in between is accepted as well. And a bundle that is accepted again
--   after a while of not being so, as when the list of exceptions is away while exceptions_changed
--   looks. It asks the events that the extension has kept on this Mac; previous_hash is the digest
--   that stood in between. Where no events are kept there are no lines.
-- adds: That something else stood there for a while, when no run of modified saw it; and the way back
--   to a digest that the fleet has had, which modified counts in with the roll-out of that digest.
-- alert: yes
-- group: path hash previous_hash
-- interval: 300
-- platform: darwin
-- snapshot: no
-- removed: no
-- severity: high
-- risk_score: 73
-- mitre: TA0003 T1547 T1574
-- references: https://attack.mitre.org/techniques/T1574/
-- false_positives: A vendor who takes an update back or installs the same version over itself; a bundle
--   that is put right after an incident, or that writes into itself and undoes it; exceptions that are
--   taken away and delivered anew.
-- cap: A flood gives a line for each event, once. To log fewer, schedule a copy that ends in
--   ORDER BY id LIMIT 100; the others stay in dsplug_events.
-- osquery: 5.0.1
-- tables: none
-- flags: none
-- ecs: file.path=path file.code_signature.subject_name=signer
--   file.code_signature.team_id=team_identifier file.code_signature.status=signature_state
-- quiet: no
-- rule_id: 20b086e2-9ff0-46ec-8b9f-7aa78f21fc7a
-- sigma_id: 3860ace2-caa1-4e96-9191-48201b8fb47f
WITH events AS MATERIALIZED (
  SELECT id, time, action, path, changed, hash, previous_hash, signature_state, anchor, signer,
    team_identifier, cdhash, exception
  FROM dsplug_events
  WHERE action IN ('appeared', 'changed', 'gone')
),
departed AS (
  SELECT path, hash, min(id) AS id FROM (
    SELECT path, previous_hash AS hash, id
    FROM events WHERE action = 'changed' AND hash <> previous_hash
    UNION ALL
    SELECT path, hash, id FROM events WHERE action = 'gone'
  )
  WHERE hash <> '' GROUP BY path, hash
),
arrived AS (
  SELECT id, time, path, hash, signature_state, anchor, signer, team_identifier, cdhash, exception,
    lag(id) OVER earlier AS before_id,
    lag(hash) OVER earlier AS before,
    max(CASE exception WHEN '' THEN id END) OVER (
      PARTITION BY path ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS unaccepted_id
  FROM events
  WHERE action <> 'gone' AND hash <> '' AND hash <> previous_hash
  WINDOW earlier AS (PARTITION BY path ORDER BY id)
),
accepted AS (
  SELECT path, hash, exception, min(id) AS id
  FROM events WHERE exception <> '' AND hash <> '' GROUP BY path, hash, exception
),
judged AS (
  SELECT id, time, action, path, changed, hash, previous_hash, signature_state, anchor, signer,
    team_identifier, cdhash, exception,
    lag(exception) OVER (PARTITION BY path ORDER BY id) AS before
  FROM events WHERE action <> 'gone' AND hash <> ''
)
SELECT 'went_back' AS dsplug_query, id, time, path, hash, previous_hash, signature_state, anchor,
  signer, team_identifier, cdhash, exception
FROM (
  SELECT back.id, time, back.path, back.hash, before AS previous_hash, signature_state, anchor, signer,
    team_identifier, cdhash, exception
  FROM arrived AS back JOIN departed USING (path, hash)
  WHERE before <> back.hash AND departed.id <= before_id
    AND (exception = '' OR unaccepted_id >= departed.id)
  UNION ALL
  SELECT back.id, time, back.path, back.hash, previous_hash, signature_state, anchor, signer,
    team_identifier, cdhash, back.exception
  FROM judged AS back JOIN accepted USING (path, hash, exception)
  WHERE back.action = 'changed' AND back.hash = previous_hash AND before = ''
    AND ';' || changed || ';' LIKE '%;exception;%' AND accepted.id < back.id
);
