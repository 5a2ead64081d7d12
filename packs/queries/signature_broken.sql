-- signature_broken: a bundle bears a signature that does not hold
--
-- detects: A signed bundle that was altered, a slice of a universal file that does not match the
--   others, a chain that does not end in Apple's roots, one whose certificate Apple gives to any
--   account (anchor untrusted), a signature that cannot be parsed or read. One line for each state
--   and set of problems.
-- adds: What does not hold. Its bundles have a line in modified too.
-- alert: no
-- interval: 300
-- platform: darwin
-- snapshot: no
-- removed: no
-- severity: high
-- risk_score: 73
-- mitre: TA0003 T1547 T1574
-- references: https://attack.mitre.org/techniques/T1574/
-- false_positives: A vendor's installer that writes into its own signed bundle; a volume that
--   gives read errors.
-- osquery: 5.0.1
-- tables: none
-- flags: none
-- ecs: file.path=path file.code_signature.status=signature_state
-- policy: Every DirectoryService plug-in that bears a signature bears one that holds.
-- resolution: Compare the bundle with the vendor's own and install that again.
-- line_bytes: 540
-- quiet: yes
-- rule_id: 3cceb196-af3d-4b54-b949-b3a68634b214
-- sigma_id: 519f79d6-2d79-4f2a-8c99-e2fe2d3fb29d
SELECT 'signature_broken' AS dsplug_query, path, signature_state, signature_problems,
  anchor, claimed_signer, load_verdict, executable
FROM dsplug_bundles
WHERE exception = ''
  AND (signature_state IN ('broken', 'malformed', 'unreadable')
    OR (signature_state = 'signed' AND anchor NOT IN ('apple', 'developer_id', 'app_store')));
