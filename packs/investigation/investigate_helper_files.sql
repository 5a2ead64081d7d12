-- investigate_helper_files: what the loader holds open
--
-- detects: Files that a plug-in has opened since it was loaded.
-- interval: 0
-- platform: darwin
-- snapshot: yes
-- removed: no
-- severity: low
-- risk_score: 1
-- mitre: TA0003 T1547
-- references: https://attack.mitre.org/techniques/T1547/
-- false_positives: None: an analyst asks.
-- tables: processes process_open_files
-- flags: none
SELECT 'investigate_helper_files' AS dsplug_query, p.pid, f.fd, f.path
FROM processes AS p
JOIN process_open_files AS f ON f.pid = p.pid
WHERE p.path = '/usr/libexec/dspluginhelperd';
