-- investigate_contents: every file in the bundles, and what the seal says of it
--
-- detects: Code and scripts to look into: each file with its digest, and whether a signature covers it.
-- interval: 0
-- platform: darwin
-- snapshot: yes
-- removed: no
-- severity: low
-- risk_score: 1
-- mitre: TA0003 T1547
-- references: https://attack.mitre.org/techniques/T1547/
-- false_positives: None: an analyst asks.
-- osquery: 5.0.1
-- tables: none
-- flags: none
SELECT 'investigate_contents' AS dsplug_query, bundle_path, path, kind, size, mtime, ctime, uid,
  gid, mode, hash, symlink_target, sealed, macho, signature_state, signer, cdhash, quarantine, error
FROM dsplug_files;
