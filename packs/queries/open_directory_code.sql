-- open_directory_code: the program of an OpenDirectory module changed
--
-- detects: Another content or signature of the executables in the XPC modules of
--   /Library/OpenDirectory/Modules.
-- adds: A change of the program in a module that stays; open_directory_modules does not see it.
-- alert: yes
-- group: path sha256
-- interval: 3600
-- platform: darwin
-- snapshot: no
-- removed: no
-- severity: medium
-- risk_score: 47
-- mitre: TA0003 T1547 T1574
-- references: https://attack.mitre.org/techniques/T1574/
-- false_positives: An update of directory software.
-- osquery: 5.0.1
-- tables: file hash signature
-- flags: none
-- ecs: file.path=path file.hash.sha256=sha256
-- quiet: no
-- rule_id: fd6cbde9-a815-46db-9734-040442257406
-- sigma_id: 5d694525-bbd7-4afa-baa2-172f11683e96
SELECT 'open_directory_code' AS dsplug_query, f.path, h.sha256, s.signed, s.identifier, s.cdhash,
  s.team_identifier, s.authority
FROM file AS f
LEFT JOIN hash AS h ON h.path = f.path
LEFT JOIN signature AS s ON s.path = f.path
WHERE f.path LIKE '/Library/OpenDirectory/Modules/%/Contents/MacOS/%';
