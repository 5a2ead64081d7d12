-- open_directory_modules: an OpenDirectory module, the modern sibling of a plug-in, came or went
--
-- detects: What stands in /Library/OpenDirectory/Modules, where opendirectoryd finds XPC modules
--   from third parties. An attacker who is watched in the old folder may move here.
-- adds: A module that comes or goes; open_directory_code sees its program an hour later.
-- alert: yes
-- group: path type symlink_target_path
-- interval: 300
-- platform: darwin
-- snapshot: no
-- removed: yes
-- severity: medium
-- risk_score: 47
-- mitre: TA0003 T1547
-- references: https://attack.mitre.org/techniques/T1547/
-- false_positives: Directory software such as that of identity providers.
-- osquery: 5.17.0
-- tables: file
-- flags: none
-- ecs: file.path=path file.uid=uid file.gid=gid file.mode=mode
-- quiet: no
-- rule_id: 7c28c532-2ca4-4bda-a07e-bdf8f2a0b91d
-- sigma_id: 72c305ec-c329-446e-a440-c30f0681769e
SELECT 'open_directory_modules' AS dsplug_query, path, type, uid, gid, mode, symlink_target_path
FROM file
WHERE directory = '/Library/OpenDirectory/Modules';
