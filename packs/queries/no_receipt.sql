-- no_receipt: a bundle that no installed package accounts for
--
-- detects: A bundle that was copied, unpacked or moved into the folder by hand or by a script: no
--   package receipt lists it. Receipts are only read when there is a bundle to look for.
-- adds: Whether a package brought the bundle.
-- alert: no
-- interval: 3600
-- platform: darwin
-- snapshot: no
-- removed: no
-- severity: medium
-- risk_score: 47
-- mitre: TA0003 T1547
-- references: https://attack.mitre.org/techniques/T1547/
-- false_positives: Software that installs by dragging or by its own updater; a receipt that was
--   forgotten with pkgutil.
-- osquery: 5.0.1
-- tables: package_receipts package_bom
-- flags: none
-- ecs: file.path=path
-- quiet: no
-- rule_id: 7db51e0b-abac-4c7a-a3da-898ee5a5dbc7
-- sigma_id: 55f7366a-5de0-470b-94a9-8f976726fc51
SELECT 'no_receipt' AS dsplug_query, b.path
FROM dsplug_bundles AS b
WHERE b.exception = ''
  AND +b.path NOT IN (
    SELECT replace(
      '/' || trim(coalesce(r.location, ''), './') || '/' || ltrim(coalesce(f.filepath, ''), './'),
      '//', '/')
    FROM package_receipts AS r
    CROSS JOIN package_bom AS f ON f.path = replace(r.path, '.plist', '.bom')
    WHERE f.filepath LIKE '%.dsplug'
  );
