-- files_written_by: the process that wrote into a plug-in folder
--
-- detects: Each creation, write, truncation and rename below a plug-in folder, and the program that did
--   it. Deletions are not among the events that osquery subscribes to.
-- interval: 300
-- platform: darwin
-- snapshot: no
-- removed: no
-- severity: medium
-- risk_score: 47
-- mitre: TA0003 T1547 T1574
-- references: https://osquery.readthedocs.io/en/stable/deployment/process-auditing/
-- false_positives: Installers, com.apple.shove and installd among them.
-- tables: es_process_file_events
-- flags: --disable_events=false --disable_endpointsecurity=false --disable_endpointsecurity_fim=false
-- ecs: file.path=filename process.executable=path process.pid=pid
SELECT 'files_written_by' AS dsplug_query, filename, dest_filename, event_type, path, pid, parent,
  time
FROM es_process_file_events
WHERE filename LIKE '/Library/DirectoryServices/PlugIns%'
  OR dest_filename LIKE '/Library/DirectoryServices/PlugIns%'
  OR filename LIKE '/Library/OpenDirectory/Modules%'
  OR dest_filename LIKE '/Library/OpenDirectory/Modules%';
