-- files_written: a file in a plug-in folder was created, written, renamed or deleted
--
-- detects: Each write as it happens, what is gone again before the next run included. It says
--   what was written, not by whom.
-- interval: 300
-- platform: darwin
-- snapshot: no
-- removed: no
-- severity: medium
-- risk_score: 47
-- mitre: TA0003 T1547 T1574
-- references: https://osquery.readthedocs.io/en/stable/deployment/file-integrity-monitoring/
-- false_positives: Installers, com.apple.shove and installd among them; an update writes every
--   file of a bundle.
-- tables: file_events
-- flags: --disable_events=false --enable_file_events=true
-- ecs: file.path=target_path file.hash.sha256=sha256
SELECT 'files_written' AS dsplug_query, target_path, action, category, uid, gid, mode, size, mtime,
  ctime, sha256, time
FROM file_events
WHERE category = 'dsplug';
