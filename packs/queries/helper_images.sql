-- helper_images: code from outside the system is mapped into the process that loads plug-ins
--
-- detects: What dspluginhelperd has really loaded: plug-ins, the libraries that they pull in, and
--   an image whose file is no longer there.
-- interval: 300
-- platform: darwin
-- snapshot: no
-- removed: no
-- severity: high
-- risk_score: 73
-- mitre: TA0003 T1547 T1574
-- references: https://blog.chichou.me/2019/11/21/two-macos-persistence-tricks-abusing-plugins/
-- false_positives: A known legacy plug-in in normal use.
-- tables: processes process_memory_map
-- flags: none
-- ecs: file.path=path
SELECT DISTINCT 'helper_images' AS dsplug_query, m.path
FROM processes AS p
CROSS JOIN process_memory_map AS m ON m.pid = p.pid
WHERE p.path = '/usr/libexec/dspluginhelperd'
  AND m.path LIKE '/%'
  AND m.path NOT LIKE '/System/%'
  AND m.path NOT LIKE '/usr/lib/%'
  AND m.path NOT LIKE '/usr/share/%'
  AND m.path NOT LIKE '/private/var/db/%'
  AND m.path <> '/usr/libexec/dspluginhelperd';
