-- presence: a bundle appeared in a plug-in folder, or went from it
--
-- detects: Anything that ends in .dsplug and stands in a plug-in folder, at any depth, in any
--   letter case, whatever its times say. The path is the only column, so that a change to a
--   bundle that stays gives no line here. A bundle that an exception accepts counts as not there:
--   it appears when the exception no longer holds.
-- interval: 300
-- platform: darwin
-- snapshot: no
-- removed: yes
-- severity: medium
-- risk_score: 47
-- mitre: TA0003 T1547 T1574
-- references: https://blog.chichou.me/2019/11/21/two-macos-persistence-tricks-abusing-plugins/
--   https://attack.mitre.org/techniques/T1547/
-- false_positives: The installation, update or removal of directory software. No current product
--   is known to ship such a plug-in; accept what you know with an exception.
-- cap: A flood gives a line for each bundle, once. To log fewer, schedule a copy that ends in
--   ORDER BY path LIMIT 100; the others stay in dsplug_bundles and in inventory.
-- tables: none
-- flags: none
-- ecs: file.path=path
-- policy: No DirectoryService plug-in stands on this Mac but those that an exception accepts.
-- resolution: Look at the bundle with dsplug explain. If it is known and wanted, add an
--   exception; if not, move it out of the folder and stop dspluginhelperd: sudo launchctl kill
--   SIGKILL system/com.apple.dspluginhelperd
SELECT 'presence' AS dsplug_query, path
FROM dsplug_bundles
WHERE exception = '';
