-- inventory: every bundle with all that is known of it, once a day
--
-- detects: Nothing by itself: the record to look things up in, excepted bundles included.
-- adds: What the others leave out: bundles that an exception accepts, and every column.
-- alert: no
-- interval: 86400
-- platform: darwin
-- snapshot: yes
-- removed: no
-- severity: low
-- risk_score: 1
-- mitre: TA0003 T1547
-- references: https://blog.chichou.me/2019/11/21/two-macos-persistence-tricks-abusing-plugins/
-- false_positives: None: it is a record, not an alert.
-- osquery: 5.0.1
-- tables: none
-- flags: none
-- ecs: file.path=path file.code_signature.subject_name=signer
--   file.code_signature.team_id=team_identifier file.code_signature.signing_id=signing_identifier
--   file.code_signature.status=signature_state
-- line_bytes: 1400
-- quiet: yes
SELECT 'inventory' AS dsplug_query, path, mtime, signer, hash, ctime, btime, bundle_mtime,
  bundle_ctime, newest_path, kind, symlink_target, resolved_path, discovered_via, bundle_identifier,
  bundle_name, version, plugin_name, info_plist, load_verdict, load_reasons, executable,
  executable_hash, executable_outside, architectures, signature_state, signature_problems, anchor,
  claimed_signer, authority, team_identifier, signing_identifier, cdhash, signing_time,
  unsealed_files, uid, gid, mode, writable_by, quarantine, provenance, files, bytes,
  notarization_ticket, exception, error, linked_paths, linked_hash, unread,
  links_outside, loads_outside
FROM dsplug_bundles;
