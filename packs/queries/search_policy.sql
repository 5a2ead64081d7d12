-- search_policy: the nodes that a Mac searches for accounts changed
--
-- detects: A node that was added to the search policy. A plug-in's node there is evidence that the
--   plug-in is in use: it is asked at every log-in.
-- adds: That a node of a plug-in is in use.
-- alert: yes
-- group: value
-- interval: 3600
-- platform: darwin
-- snapshot: no
-- removed: yes
-- severity: low
-- risk_score: 21
-- mitre: TA0003 T1547
-- references: https://attack.mitre.org/techniques/T1547/
-- false_positives: Binding to a directory, or leaving it.
-- osquery: 5.0.1
-- tables: plist
-- flags: none
-- quiet: no
-- rule_id: e46c2227-d496-41be-aa88-44511d269f1a
-- sigma_id: 44165726-bccb-4f0e-a4ef-d3a9c462b525
SELECT 'search_policy' AS dsplug_query, key, subkey, value
FROM plist
WHERE path = '/Library/Preferences/OpenDirectory/Configurations/Search.plist'
  AND (key LIKE '%CSPSearchPath%' OR subkey LIKE '%CSPSearchPath%');
