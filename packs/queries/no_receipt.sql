-- no_receipt: a bundle that no installed package accounts for
--
-- detects: A bundle that was copied, unpacked or moved into the folder by hand or by a script: no
--   package receipt lists it. Receipts are only read when there is a bundle to look for.
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
-- tables: package_receipts package_bom
-- flags: none
-- ecs: file.path=path
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
