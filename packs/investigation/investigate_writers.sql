-- investigate_writers: which programs wrote into the folder, with their signers
--
-- detects: The process behind each write that the Mac still remembers, joined to what it was started as.
-- interval: 0
-- platform: darwin
-- snapshot: yes
-- removed: no
-- severity: low
-- risk_score: 1
-- mitre: TA0003 T1547
-- references: https://attack.mitre.org/techniques/T1547/
-- false_positives: None: an analyst asks.
-- osquery: 5.4.0
-- tables: es_process_file_events es_process_events
-- flags: --disable_events=false --disable_endpointsecurity=false --disable_endpointsecurity_fim=false
SELECT 'investigate_writers' AS dsplug_query, w.time, w.event_type, w.filename, w.dest_filename,
  w.path, w.pid, e.cmdline, e.username, e.signing_id, e.team_id, e.platform_binary
FROM es_process_file_events AS w
LEFT JOIN es_process_events AS e ON e.pid = w.pid AND e.event_type = 'exec'
WHERE w.event_type <> 'open' AND (
  w.filename LIKE '/Library/DirectoryServices/PlugIns%'
  OR w.dest_filename LIKE '/Library/DirectoryServices/PlugIns%'
);
