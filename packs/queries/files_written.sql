-- files_written: a file in a plug-in folder was created, written, renamed or deleted
--
-- detects: Each write as it happens, what is gone again before the next run included. It says
--   what was written, not by whom. It needs file_paths: those of the pack under osquery; under
--   Fleet and Elastic they stand in a file of their own, because neither takes them from a pack.
-- adds: What came and went between two runs, file by file, with the time; the queries over bundles
--   see what is there.
-- alert: no
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
-- osquery: 5.0.1
-- tables: file_events
-- flags: --disable_events=false --enable_file_events=true
-- ecs: file.path=target_path file.hash.sha256=sha256
-- quiet: no
-- rule_id: e0c4bda0-2c89-4ea4-9ef1-8a8ed159a0b1
-- sigma_id: 65bdd9a7-d644-43f8-b847-406f621fd9c7
SELECT DISTINCT 'files_written' AS dsplug_query, target_path, action, category, uid, gid, mode,
  size, mtime, ctime, sha256, time
FROM file_events
WHERE category = 'dsplug';
