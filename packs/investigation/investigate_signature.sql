-- investigate_signature: who signed a bundle, and what does not hold
--
-- detects: The signature in words, with its chain and each problem.
-- interval: 0
-- platform: darwin
-- snapshot: yes
-- removed: no
-- severity: low
-- risk_score: 1
-- mitre: TA0003 T1547
-- references: https://attack.mitre.org/techniques/T1547/
-- false_positives: None: an analyst asks.
-- osquery: 5.0.1
-- tables: none
-- flags: none
SELECT 'investigate_signature' AS dsplug_query, path, bundle_identifier, version, signature_state,
  signature_problems, anchor, signer, claimed_signer, authority, team_identifier,
  signing_identifier, cdhash, signing_time, executable, executable_hash, executable_outside,
  architectures
FROM dsplug_bundles;
