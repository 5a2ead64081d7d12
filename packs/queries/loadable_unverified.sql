-- loadable_unverified: a bundle that the system may load, and that nobody known has signed
--
-- detects: A bundle that meets the loader's conditions, or may meet them, and whose signature
--   names no one: none at all, ad hoc, one that does not hold, or one by a certificate that any
--   account gets (anchor untrusted). The loader runs as root and checks no signature. Neither the identifier nor the name is taken for a proof of anything.
-- adds: Which of the bundles are worst. Its bundles have a line in modified too, unless another
--   bundle that went made one loadable.
-- alert: no
-- interval: 300
-- platform: darwin
-- snapshot: no
-- removed: no
-- severity: high
-- risk_score: 73
-- mitre: TA0003 T1547
-- references: https://blog.chichou.me/2019/11/21/two-macos-persistence-tricks-abusing-plugins/
--   https://attack.mitre.org/techniques/T1547/
-- false_positives: A plug-in of your own that was never signed, or that was signed ad hoc.
-- cap: A flood gives a line for each bundle, once. To log fewer, schedule a copy that ends in
--   ORDER BY path LIMIT 100; the others stay in dsplug_bundles and in inventory.
-- osquery: 5.0.1
-- tables: none
-- flags: none
-- ecs: file.path=path file.code_signature.status=signature_state
-- policy: No DirectoryService plug-in would load that nobody known has signed.
-- resolution: Look at the bundle with dsplug explain; remove it, have it signed, or add an
--   exception for its digest.
-- line_bytes: 650
-- quiet: yes
-- rule_id: 77eb451b-3314-4ea1-9cc2-edbf860fbd6c
-- sigma_id: 0990ef24-a55b-4239-9b80-52af08bbafd7
SELECT 'loadable_unverified' AS dsplug_query, path, plugin_name, bundle_identifier, load_verdict,
  load_reasons, signature_state, anchor, claimed_signer, executable, executable_hash
FROM dsplug_bundles
WHERE exception = ''
  AND load_verdict <> 'not_loadable'
  AND NOT (signature_state = 'signed' AND anchor IN ('apple', 'developer_id', 'app_store'));
