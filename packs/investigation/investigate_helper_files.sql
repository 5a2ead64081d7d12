-- investigate_helper_files: what the loader holds open
--
-- detects: Files that a plug-in keeps open. The kernel tells root so of any process, with system
--   integrity protection too. The program of a plug-in is not among them: it is closed once mapped.
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
-- tables: processes process_open_files
-- flags: none
SELECT 'investigate_helper_files' AS dsplug_query, p.pid, f.fd, f.path
FROM processes AS p
JOIN process_open_files AS f ON f.pid = p.pid
WHERE p.path = '/usr/libexec/dspluginhelperd';
