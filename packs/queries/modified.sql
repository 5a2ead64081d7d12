-- modified: content, main executable, signer or signature of a bundle changed
--
-- detects: Any change inside a bundle, by its digest; a main executable that was replaced,
--   wherever it stands and whatever its times say; another signer or another state of the
--   signature; a symlink that leads elsewhere. A bundle that appears gives a line as well. What
--   links in it and libraries that it names lead to counts as well. One of which something cannot
--   even be watched gives a line each day. A socket, FIFO or device that becomes another of these gives a
--   line, by unread: the digest does not say which it is. One that can no longer be read gives a line without a digest,
--   one for each write to any of its files meanwhile (unread), and another when it can be
--   read again: else times, owner and mode have no part in it.
-- adds: It is the one line to raise an alert on, for what is new and for what changed; presence
--   tells the two apart, and tells what goes. runs has all that tells whether other code runs, in one
--   text: lines that agree in it, in path and in resolved_path are one alert.
-- alert: yes
-- group: path resolved_path runs
-- group_hours: 720
-- interval: 300
-- platform: darwin
-- snapshot: no
-- removed: no
-- severity: medium
-- risk_score: 47
-- graver: signature_state=unsigned signature_state=adhoc signature_state=broken
--   signature_state=malformed signature_state=unreadable anchor=untrusted
-- mitre: TA0003 T1547 T1574
-- references: https://blog.chichou.me/2019/11/21/two-macos-persistence-tricks-abusing-plugins/
--   https://attack.mitre.org/techniques/T1574/
-- false_positives: An update of directory software. A bundle that another program writes while it
--   is read, or that passes a limit on one run and not on the next, gives a line each way.
-- cap: A flood gives a line for each bundle, once. To log fewer, schedule a copy that ends in
--   ORDER BY path LIMIT 100; the others stay in dsplug_bundles and in inventory.
-- osquery: 5.0.1
-- tables: none
-- flags: none
-- ecs: file.path=path file.code_signature.subject_name=signer
--   file.code_signature.team_id=team_identifier file.code_signature.signing_id=signing_identifier
--   file.code_signature.status=signature_state
-- line_bytes: 1250
-- quiet: no
-- rule_id: 72a39f44-cb23-4c19-a466-b38faa60b6e2
-- sigma_id: 1a091922-f1de-41dc-9e21-1406421db1dc
SELECT 'modified' AS dsplug_query, path, kind, symlink_target, resolved_path, hash, info_plist,
  bundle_identifier, version, plugin_name, executable, executable_hash, executable_outside,
  signature_state, signature_problems, anchor, signer, claimed_signer, team_identifier,
  signing_identifier, cdhash, linked_hash, unread,
  hash || ' ' || executable_hash || ' ' || linked_hash || ' ' || signature_state || ' ' || CASE
    WHEN instr(unread, 'unwatched=') > 0 THEN substr(unread, 1, instr(unread, 'unwatched=') - 1)
    ELSE unread END AS runs
FROM dsplug_bundles
WHERE exception = '';
