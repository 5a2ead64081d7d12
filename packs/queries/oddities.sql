-- oddities: something about a bundle that an honest plug-in does not have
--
-- detects: One line for each oddity, named: it stands where only the loader's resource search or
--   nothing looks (place); is a symlink (symlink) or stands behind one (symlinked_ancestor); is
--   no directory (not_a_bundle); its name only seems to end in .dsplug (name); its main executable
--   stands outside (executable_outside); a link in it leads out of it (link_outside); code in it names a
--   library outside of it and of the system's own volume (loads_outside); its Info.plist is not
--   Contents/Info.plist (info_plist); it claims an identifier of Apple's or one that its signature contradicts (identifier); it is
--   signed with a certificate that any account gets (untrusted_signer); its
--   plug-in name is another's (name_shadowed); files in a bundle whose signature holds stand outside of the seal
--   (unsealed_files); others than root can write it (writable_by, of a bundle that an exception accepts as
--   well: they can exchange what was accepted); its newest modification is over
--   a day older than its newest status change (backdated, a hint and no verdict: most installers
--   keep old times); it could not be read whole, or a volume is mounted on the way to
--   it or to what it reaches (incomplete).
-- adds: Why a bundle looks as it does: what an attacker would do to hide it.
-- alert: no
-- interval: 300
-- platform: darwin
-- snapshot: no
-- removed: no
-- severity: medium
-- risk_score: 47
-- mitre: TA0003 T1547 T1574
-- references: https://blog.chichou.me/2019/11/21/two-macos-persistence-tricks-abusing-plugins/
--   https://attack.mitre.org/techniques/T1574/
--   https://attack.mitre.org/techniques/T1574/004/
-- false_positives: A vendor's library in /Library/Frameworks or /usr/local/lib is outside, once. Plug-ins of the 32-bit age may lack a Contents directory; whatever a package
--   installed is backdated once, and what an installer gave to an account or a group is a line once,
--   accepted or not.
-- cap: A flood gives a line for each bundle, once. To log fewer, schedule a copy that ends in
--   ORDER BY path LIMIT 100; the others stay in dsplug_bundles and in inventory.
-- osquery: 5.0.1
-- tables: none
-- flags: none
-- ecs: file.path=path
-- line_bytes: 330
-- quiet: no
-- rule_id: 099d6933-17fc-42f6-9bc9-992bf6c9d39f
-- sigma_id: a4a1c493-d889-41f0-acce-c262b22fd427
WITH bundles AS MATERIALIZED (
  SELECT path, mtime, ctime, kind, symlink_target, resolved_path, discovered_via,
    bundle_identifier, plugin_name, info_plist, load_reasons, executable, executable_outside,
    anchor, signature_state, signing_identifier, claimed_signer, unsealed_files, writable_by, linked_paths,
    links_outside, loads_outside, error, exception
  FROM dsplug_bundles
)
SELECT 'oddities' AS dsplug_query, path, oddity, detail FROM (
  SELECT path, 'place' AS oddity, discovered_via AS detail
  FROM bundles WHERE discovered_via <> 'top_level'
  UNION ALL
  SELECT path, 'symlink', symlink_target
  FROM bundles WHERE kind = 'symlink'
  UNION ALL
  SELECT path, 'symlinked_ancestor', resolved_path
  FROM bundles WHERE kind <> 'symlink' AND resolved_path <> '' AND resolved_path <> path
    AND resolved_path NOT LIKE '/System/Library/Frameworks/DirectoryService.framework/Versions/%'
  UNION ALL
  SELECT path, 'not_a_bundle', kind
  FROM bundles WHERE ';' || load_reasons || ';' LIKE '%;not_a_bundle;%'
  UNION ALL
  SELECT path, 'name', load_reasons
  FROM bundles WHERE ';' || load_reasons || ';' LIKE '%;name;%'
  UNION ALL
  SELECT path, 'executable_outside', executable
  FROM bundles WHERE executable_outside = 1
  UNION ALL
  SELECT path, 'link_outside', linked_paths
  FROM bundles WHERE links_outside > 0
  UNION ALL
  SELECT path, 'loads_outside', loads_outside
  FROM bundles WHERE loads_outside <> ''
  UNION ALL
  SELECT path, 'info_plist', info_plist
  FROM bundles WHERE info_plist <> '' AND info_plist <> path || '/Contents/Info.plist'
  UNION ALL
  SELECT path, 'identifier', bundle_identifier
  FROM bundles
  WHERE (bundle_identifier LIKE 'com.apple.%' AND anchor <> 'apple')
    OR (signature_state = 'signed' AND bundle_identifier <> signing_identifier)
  UNION ALL
  SELECT path, 'untrusted_signer', claimed_signer
  FROM bundles
  WHERE signature_state = 'signed' AND anchor NOT IN ('apple', 'developer_id', 'app_store')
  UNION ALL
  SELECT path, 'name_shadowed', plugin_name
  FROM bundles WHERE ';' || load_reasons || ';' LIKE '%;name_shadowed;%'
  UNION ALL
  SELECT path, 'unsealed_files', CAST(unsealed_files AS TEXT)
  FROM bundles WHERE unsealed_files > 0 AND signature_state IN ('signed', 'adhoc')
  UNION ALL
  SELECT path, 'writable_by', writable_by
  FROM bundles WHERE writable_by <> 'root'
  UNION ALL
  SELECT path, 'backdated', CAST(mtime AS TEXT)
  FROM bundles WHERE ctime - mtime > 86400
  UNION ALL
  SELECT path, 'incomplete', substr(error, 1, instr(error, ':') - 1)
  FROM bundles WHERE error <> ''
)
WHERE oddity = 'writable_by' OR path IN (SELECT path FROM bundles WHERE exception = '');
