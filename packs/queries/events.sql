-- events: a bundle appeared, changed or went, as the extension saw it happen
--
-- detects: What happened between two runs as well: a bundle that was created, loaded and deleted
--   gives its path, digest, signer and main executable. One line for each event, and no second one
--   after a restart. All that are kept are asked for, for an age would go by a clock that root can
--   set; what is no longer kept gives no line. The action dropped says that so much happened that
--   some events, those of the busiest bundles first, are no longer kept; the action exceptions, that a scan
--   saw another list of exceptions, with its digest in hash and the one before in previous_hash; the action
--   more, that so many came and went in a folder with nothing in them or before a look could come. What an
--   exception accepts gives lines as well, with the exception's identifier.
-- adds: What came and went between two runs, with its digest and code; in what order things
--   happened, when each was seen and how long it stood. What stands is told by modified as well.
-- alert: no
-- interval: 60
-- platform: darwin
-- snapshot: no
-- removed: no
-- severity: medium
-- risk_score: 47
-- mitre: TA0003 T1547 T1574
-- references: https://blog.chichou.me/2019/11/21/two-macos-persistence-tricks-abusing-plugins/
--   https://attack.mitre.org/techniques/T1547/
-- false_positives: The installation, update or removal of directory software. A bundle that is
--   written slowly gives a line when it appears and another when it has settled.
-- cap: What comes and goes with nothing in it gives 240 lines at once and 12 a minute, what is gone before it is
--   looked at as many. A flood of anything
--   else gives a line for each event, once. To log fewer, schedule a copy that ends in
--   ORDER BY id LIMIT 100; the others stay in dsplug_events, which keeps 10,000.
-- osquery: 5.0.1
-- tables: none
-- flags: none
-- ecs: file.path=path file.code_signature.subject_name=signer
--   file.code_signature.team_id=team_identifier file.code_signature.status=signature_state
-- quiet: yes
-- rule_id: a10c0695-50dd-40b7-8d80-d8df9fbb9188
-- sigma_id: 9100baec-c4bb-46f6-a97a-db5e1055c5c5
SELECT 'events' AS dsplug_query, id, time, action, path, changed, seen, kind, hash, previous_hash,
  executable, executable_hash, bundle_identifier, signature_state, signer, anchor, team_identifier,
  cdhash, load_verdict, exception, stood_ms, kept, error
FROM dsplug_events;
