-- folder_changed: a plug-in folder itself was written, whatever stands in it now
--
-- detects: Something that came and went between two runs, and a bundle that was renamed in and
--   kept its times: the folder's status-change time cannot be set by touch, and its nanoseconds tell
--   two writes within one second apart. A folder that is
--   replaced, leads elsewhere, changes its owner or mode, or gains an anomaly gives a line too, and so does
--   one of which a directory or a link on the way to where the loader looks was renamed, exchanged or
--   written, even where nothing stands there. It asks for the bundles as well, so that a folder that cannot
--   be listed makes it fail, not fall silent.
-- adds: That something was here between two runs and is gone. Beside a line of presence it says
--   nothing new.
-- alert: no
-- interval: 300
-- platform: darwin
-- snapshot: no
-- removed: no
-- severity: low
-- risk_score: 21
-- mitre: TA0003 T1547
-- references: https://blog.chichou.me/2019/11/21/two-macos-persistence-tricks-abusing-plugins/
-- false_positives: Finder that writes .DS_Store into the folder, a backup that restores it, or a
--   change of its permissions that is undone.
-- osquery: 5.0.1
-- tables: none
-- flags: none
-- ecs: file.path=path file.uid=uid file.gid=gid file.mode=mode
-- line_bytes: 470
-- quiet: no
-- rule_id: b957105c-2aa6-48e3-93c8-2670aba9af3b
-- sigma_id: 0c291192-4299-48c0-933b-62760bc9ab2e
SELECT 'folder_changed' AS dsplug_query, path, "exists", resolved_path, mtime, ctime,
  ctime_nanoseconds, way, uid, gid, mode, writable_by,
  anomalies
FROM dsplug_folders
WHERE ("exists" = 1 OR way <> '' OR anomalies <> '' OR error <> '')
  AND (SELECT count(*) FROM dsplug_bundles) >= 0;
