-- investigate_folder: the plug-in folders themselves
--
-- detects: Whether a folder is led elsewhere, who can write it, and when it was written last.
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
SELECT 'investigate_folder' AS dsplug_query, path, "exists", resolved_path, mtime, ctime, btime,
  uid, gid, mode, writable_by, entries, candidates, anomalies, error
FROM dsplug_folders;
