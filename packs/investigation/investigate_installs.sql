-- investigate_installs: what was installed around the time of a bundle
--
-- detects: Packages that were installed within a day of a bundle's last change: an update that explains it, or an installer that should not have been run.
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
-- tables: package_install_history
-- flags: none
SELECT 'investigate_installs' AS dsplug_query, b.path, b.ctime, i.package_id, i.name, i.version,
  i.time, i.source
FROM dsplug_bundles AS b
CROSS JOIN package_install_history AS i
WHERE i.time BETWEEN b.ctime - 86400 AND b.ctime + 86400;
