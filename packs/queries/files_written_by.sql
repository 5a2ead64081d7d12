-- files_written_by: the process that wrote into a plug-in folder
--
-- detects: Each creation, write, truncation and rename below a plug-in folder, and the program that did
--   it. Deletions are not among the events that osquery subscribes to. From macOS 13 on osquery
--   tells only what stands in file_paths.
-- adds: The process. Nothing else names who wrote.
-- alert: no
-- interval: 300
-- platform: darwin
-- snapshot: no
-- removed: no
-- severity: medium
-- risk_score: 47
-- mitre: TA0003 T1547 T1574
-- references: https://osquery.readthedocs.io/en/stable/deployment/process-auditing/
-- false_positives: Installers, com.apple.shove and installd among them.
-- osquery: 5.4.0
-- tables: es_process_file_events
-- flags: --disable_events=false --disable_endpointsecurity=false --disable_endpointsecurity_fim=false
-- ecs: file.path=filename process.executable=path process.pid=pid
-- quiet: no
-- rule_id: 3fcaac5a-737d-4500-91f2-a6bc743a8d1c
-- sigma_id: 5880749a-354d-4800-990e-dfad99e0ef90
SELECT 'files_written_by' AS dsplug_query, filename, dest_filename, event_type, path, pid, parent,
  time
FROM es_process_file_events
WHERE event_type <> 'open' AND (
  filename LIKE '/Library/DirectoryServices/PlugIns%'
  OR dest_filename LIKE '/Library/DirectoryServices/PlugIns%'
  OR filename LIKE '/Library/OpenDirectory/Modules%'
  OR dest_filename LIKE '/Library/OpenDirectory/Modules%'
);
