-- signature_changed: a bundle is signed by another than before, or in another state
--
-- detects: A bundle that was signed again: its state, what its chain ends in, its signer, team or
--   identifier is not what it was. Content alone, signed by the same, gives no line here. A
--   bundle that appears gives one.
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
-- cap: A flood gives a line for each bundle, once. To log fewer, schedule a copy that ends in
--   ORDER BY path LIMIT 100; the others stay in dsplug_bundles and in inventory.
-- osquery: 5.0.1
-- tables: none
-- flags: none
-- ecs: file.path=path file.code_signature.subject_name=signer
--   file.code_signature.team_id=team_identifier file.code_signature.signing_id=signing_identifier
--   file.code_signature.status=signature_state
-- line_bytes: 400
-- quiet: no
-- rule_id: a5991b59-ef69-4ba3-a80c-6568cc986b61
-- sigma_id: 437e73bd-e035-42e4-b5d5-33a41db41a40
SELECT 'signature_changed' AS dsplug_query, path, signature_state, anchor, signer, team_identifier,
  signing_identifier
FROM dsplug_bundles
WHERE exception = '';
