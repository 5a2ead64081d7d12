-- investigate_origin: which accounts own the bundles, and where they were downloaded
--
-- detects: The origin: quarantine and provenance of each bundle, and the account that owns it.
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
-- tables: users
-- flags: none
SELECT 'investigate_origin' AS dsplug_query, b.path, b.quarantine, b.provenance, b.uid, u.username,
  b.btime, b.ctime
FROM dsplug_bundles AS b
LEFT JOIN users AS u ON u.uid = b.uid;
