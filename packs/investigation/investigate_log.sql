-- investigate_log: what the loader logged in the last day, and which image in it did
--
-- detects: Traces of a plug-in that was loaded, refused or crashed. sender is the image that
--   logged: the name of a plug-in there says that its code ran. A plug-in that logs nothing leaves
--   none, and the log can be erased by root.
-- interval: 0
-- platform: darwin
-- snapshot: yes
-- removed: no
-- severity: low
-- risk_score: 1
-- mitre: TA0003 T1547
-- references: https://attack.mitre.org/techniques/T1547/
-- false_positives: None: an analyst asks.
-- osquery: 5.5.0
-- tables: unified_log
-- flags: none
SELECT 'investigate_log' AS dsplug_query, timestamp, process, pid, sender, level, message
FROM unified_log
WHERE process = 'dspluginhelperd' AND max_rows = 1000
  AND timestamp > CAST(strftime('%s', 'now') AS INTEGER) - 86400;
