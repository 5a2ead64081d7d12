-- helper_images: code from outside the system is mapped into the process that loads plug-ins
--
-- detects: What dspluginhelperd has mapped: plug-ins, the libraries that they pull in, and an image
--   whose file is no longer there. No row is no all-clear: osquery asks for the task of the process
--   (task_for_pid), which system integrity protection refuses for a program of Apple's, and then
--   there are no rows at all. It tells something where that protection is off. /System/Volumes is where the writable volumes are
--   mounted, and some folders below /System/Library and /usr/share stand on one of them; of what the system maps out of /private/var/db only what may be executed counts.
-- adds: That code was mapped, on a Mac without system integrity protection. Elsewhere helper_opened
--   and helper_running tell what can be told.
-- alert: yes
-- group: path
-- interval: 300
-- platform: darwin
-- snapshot: no
-- removed: no
-- severity: high
-- risk_score: 73
-- mitre: TA0003 T1547 T1574
-- references: https://blog.chichou.me/2019/11/21/two-macos-persistence-tricks-abusing-plugins/
-- false_positives: A known legacy plug-in in normal use.
-- osquery: 5.0.1
-- tables: processes process_memory_map
-- flags: none
-- ecs: file.path=path
-- quiet: no
-- rule_id: dbd453f8-855c-4618-a217-abc2128d9fac
-- sigma_id: 183589f9-e189-46e6-96f1-09191a069ccb
SELECT DISTINCT 'helper_images' AS dsplug_query, m.path
FROM processes AS p
CROSS JOIN process_memory_map AS m ON m.pid = p.pid
WHERE p.path = '/usr/libexec/dspluginhelperd'
  AND m.path LIKE '/%'
  AND (m.path NOT LIKE '/System/%'
    OR m.path LIKE '/System/Volumes/%'
    OR m.path LIKE '/System/Library/Assets%'
    OR m.path LIKE '/System/Library/Caches/%'
    OR m.path LIKE '/System/Library/CoreServices/CoreTypes.bundle/Contents/Library/%'
    OR m.path LIKE '/System/Library/PreinstalledAssets%'
    OR m.path LIKE '/System/Library/Speech/%')
  AND m.path NOT LIKE '/System/Volumes/Preboot/Cryptexes/OS/%'
  AND m.path NOT LIKE '/usr/lib/%'
  AND (m.path NOT LIKE '/usr/share/%' OR m.path LIKE '/usr/share/snmp/%')
  AND m.path NOT LIKE '/private/var/db/dyld/%'
  AND (m.path NOT LIKE '/private/var/db/%' OR m.permissions LIKE '%x%')
  AND m.path <> '/usr/libexec/dspluginhelperd';
