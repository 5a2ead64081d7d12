-- helper_opened: the process that loads plug-ins opened a file in a plug-in folder
--
-- detects: That dspluginhelperd came to a plug-in's files: each one that it opened, its program
--   included. An open is no proof that the code was mapped, but nothing else opens a plug-in's
--   program in that process. osquery tells opens from macOS 13 and its version 5.10.0 on, and
--   of the files in file_paths alone.
-- adds: That a bundle is used, and not only stands there. It needs no access to the process, which
--   system integrity protection refuses to helper_images.
-- alert: yes
-- group: filename
-- interval: 300
-- platform: darwin
-- snapshot: no
-- removed: no
-- severity: high
-- risk_score: 73
-- mitre: TA0003 T1547 T1574
-- references: https://osquery.readthedocs.io/en/stable/deployment/process-auditing/
-- false_positives: A known legacy plug-in in normal use.
-- osquery: 5.10.0
-- tables: es_process_file_events
-- flags: --disable_events=false --disable_endpointsecurity=false --disable_endpointsecurity_fim=false
--   --es_fim_enable_open_events=true
-- ecs: file.path=filename process.executable=path
-- quiet: no
-- rule_id: 68a9f7ca-022e-4c4c-bde4-42889eb41e5d
-- sigma_id: a6697f09-6899-4a0b-9328-e453e48e0d11
SELECT DISTINCT 'helper_opened' AS dsplug_query, path, filename
FROM es_process_file_events
WHERE event_type = 'open'
  AND path = '/usr/libexec/dspluginhelperd'
  AND (filename LIKE '/Library/DirectoryServices/%' OR filename LIKE '/Library/OpenDirectory/%');
