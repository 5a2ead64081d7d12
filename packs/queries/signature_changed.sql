-- signature_changed: a bundle is signed by another than before, or in another state
--
-- detects: A bundle that stood there before and whose signature is another's now, or another one that
--   no vendor vouches for: none, ad hoc, one that does not hold. It asks the events that the
--   extension has kept, so a bundle that appears gives no line, nor does an update that is signed
--   by the same. Where no events are kept there are no lines; modified has one for each change.
-- adds: That a bundle changed hands, whatever became of its content.
-- alert: no
-- interval: 300
-- platform: darwin
-- snapshot: no
-- removed: no
-- severity: high
-- risk_score: 73
-- mitre: TA0003 T1547 T1574
-- references: https://attack.mitre.org/techniques/T1574/
-- false_positives: A vendor who renews a certificate under another name, or is bought.
-- cap: A flood gives a line for each event, once. To log fewer, schedule a copy that ends in
--   ORDER BY id LIMIT 100; the others stay in dsplug_events.
-- osquery: 5.0.1
-- tables: none
-- flags: none
-- ecs: file.path=path file.code_signature.subject_name=signer
--   file.code_signature.team_id=team_identifier file.code_signature.status=signature_state
-- quiet: no
-- rule_id: a5991b59-ef69-4ba3-a80c-6568cc986b61
-- sigma_id: 437e73bd-e035-42e4-b5d5-33a41db41a40
SELECT 'signature_changed' AS dsplug_query, id, time, path, changed, hash, previous_hash,
  signature_state, anchor, signer, team_identifier, cdhash
FROM dsplug_events
WHERE action = 'changed'
  AND (';' || changed || ';' LIKE '%;signer;%'
    OR (';' || changed || ';' LIKE '%;signature;%'
      AND NOT (signature_state = 'signed' AND anchor IN ('apple', 'developer_id', 'app_store'))))
  AND exception = '';
