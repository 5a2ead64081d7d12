-- investigate_bundle: where a bundle stands, since when, and who can write it
--
-- detects: The first step: path, times, owner, what it resolves to, and whether it would load.
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
SELECT 'investigate_bundle' AS dsplug_query, path, kind, symlink_target, resolved_path,
  discovered_via, mtime, newest_path, ctime, btime, bundle_mtime, bundle_ctime, uid, gid, mode,
  writable_by, load_verdict, load_reasons, exception, error
FROM dsplug_bundles;
