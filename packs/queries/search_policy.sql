-- search_policy: the nodes that a Mac searches for accounts changed
--
-- detects: A node that was added to the search policy. A plug-in's node there is evidence that the
--   plug-in is in use: it is asked at every log-in.
-- interval: 3600
-- platform: darwin
-- snapshot: no
-- removed: yes
-- severity: low
-- risk_score: 21
-- mitre: TA0003 T1547
-- references: https://attack.mitre.org/techniques/T1547/
-- false_positives: Binding to a directory, or leaving it.
-- tables: plist
-- flags: none
SELECT 'search_policy' AS dsplug_query, key, subkey, value
FROM plist
WHERE path = '/Library/Preferences/OpenDirectory/Configurations/Search.plist'
  AND (key LIKE '%CSPSearchPath%' OR subkey LIKE '%CSPSearchPath%');
