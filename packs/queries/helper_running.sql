-- helper_running: the process that loads plug-ins is running
--
-- detects: dspluginhelperd, which runs as root and is started when a legacy plug-in's node is
--   asked for. With no bundle in any folder (bundles = no) something loaded one and is gone, or the
--   folder was led elsewhere. Process numbers are left out: a restart gives no line.
-- adds: That the loader was started; with no bundle in any folder, that one was there.
-- alert: yes
-- interval: 300
-- platform: darwin
-- snapshot: no
-- removed: no
-- severity: medium
-- risk_score: 47
-- mitre: TA0003 T1547
-- references: https://blog.chichou.me/2019/11/21/two-macos-persistence-tricks-abusing-plugins/
-- false_positives: A Mac with a known legacy plug-in starts it in normal use.
-- osquery: 5.0.1
-- tables: processes
-- flags: none
-- ecs: process.executable=path
-- quiet: no
-- rule_id: 95d6e857-92af-4868-88ee-fa3303b14e33
-- sigma_id: 3733fe4e-d5d4-49d3-b602-ffa7e3bbd91b
SELECT DISTINCT 'helper_running' AS dsplug_query, p.path, p.euid,
  CASE WHEN (SELECT count(*) FROM dsplug_bundles) > 0 THEN 'yes' ELSE 'no' END AS bundles
FROM processes AS p
WHERE p.path = '/usr/libexec/dspluginhelperd';
