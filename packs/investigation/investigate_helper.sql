-- investigate_helper: whether the loader runs, and what it has mapped where osquery may ask
--
-- detects: Whether a plug-in may be in use: the process that loads plug-ins, and since when it
--   runs. The columns path and permissions are filled where system integrity protection is off:
--   osquery asks for the task of the process, which is refused for a program of Apple's. On the
--   Mac itself, sudo lsof -a -d txt -p PID asks the kernel in a way that needs no task.
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
-- tables: processes process_memory_map
-- flags: none
SELECT 'investigate_helper' AS dsplug_query, p.pid, p.start_time, p.euid, p.parent, m.path,
  m.permissions
FROM processes AS p
LEFT JOIN process_memory_map AS m ON m.pid = p.pid
  AND m.path LIKE '/%' AND m.path NOT LIKE '/System/%' AND m.path NOT LIKE '/usr/%'
WHERE p.path = '/usr/libexec/dspluginhelperd';
