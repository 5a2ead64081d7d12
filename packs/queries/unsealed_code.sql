-- unsealed_code: code in a bundle stands where no seal covers it, or is not what was sealed
--
-- detects: A Mach-O file beside the main executable that the bundle's signature does not cover, such
--   as a library that a vendor's signed plug-in is made to load.
-- adds: The very file in a signed bundle. The bundle has a line in modified too.
-- alert: no
-- interval: 300
-- platform: darwin
-- snapshot: no
-- removed: no
-- severity: high
-- risk_score: 73
-- mitre: TA0003 T1547 T1574
-- references: https://attack.mitre.org/techniques/T1574/
-- false_positives: A plug-in that was never sealed: unsigned bundles are left out, they are in
--   loadable_unverified.
-- osquery: 5.0.1
-- tables: none
-- flags: none
-- ecs: file.path=path file.hash.sha256=hash
-- line_bytes: 490
-- quiet: no
-- rule_id: e994d65c-baff-49cd-bad5-d582db94354f
-- sigma_id: 018cfa6d-f5e4-4ad0-bfa5-a3ef639776cd
SELECT 'unsealed_code' AS dsplug_query, path, hash, macho, sealed, signature_state, signer, cdhash
FROM dsplug_files
WHERE macho <> ''
  AND sealed IN ('unsealed', 'altered')
  AND +bundle_path IN (
    SELECT path FROM dsplug_bundles
    WHERE exception = '' AND kind IN ('directory', 'symlink') AND signature_state <> 'unsigned'
  );
