-- investigate_helper: whether the loader runs, and what it has mapped
--
-- detects: Whether a plug-in is in use: the process that loads plug-ins, since when it runs, and the code in it that is not the system's.
-- interval: 0
-- platform: darwin
-- snapshot: yes
-- removed: no
-- severity: low
-- risk_score: 1
-- mitre: TA0003 T1547
-- references: https://attack.mitre.org/techniques/T1547/
-- false_positives: None: an analyst asks.
-- tables: processes process_memory_map
-- flags: none
SELECT 'investigate_helper' AS dsplug_query, p.pid, p.start_time, p.euid, p.parent, m.path,
  m.permissions
FROM processes AS p
LEFT JOIN process_memory_map AS m ON m.pid = p.pid
  AND m.path LIKE '/%' AND m.path NOT LIKE '/System/%' AND m.path NOT LIKE '/usr/%'
WHERE p.path = '/usr/libexec/dspluginhelperd';
