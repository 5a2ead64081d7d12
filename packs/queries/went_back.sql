-- went_back: a bundle is again what it was before it was changed
--
-- detects: A bundle that was swapped and put back between two runs, and a vendor's plug-in that was
--   put back to a version that had been replaced. It asks the events that the extension has kept on
--   this Mac; previous_hash is the digest that stood in between. Where no events are kept there are
--   no lines.
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
-- false_positives: A vendor who takes an update back; a bundle that is put right after an incident, or
--   that writes into itself and undoes it.
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
WITH kept AS MATERIALIZED (
  SELECT id, time, action, path, hash, previous_hash, signature_state, anchor, signer,
    team_identifier, cdhash
  FROM dsplug_events
  WHERE action IN ('appeared', 'changed') AND hash <> '' AND exception = ''
    AND hash <> previous_hash
)
SELECT 'went_back' AS dsplug_query, id, time, path, hash, previous_hash, signature_state, anchor,
  signer, team_identifier, cdhash
FROM kept AS back
WHERE EXISTS (
    SELECT 1 FROM kept AS away
    WHERE away.path = back.path AND away.previous_hash = back.hash AND away.id < back.id
  );
