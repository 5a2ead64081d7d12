-- investigate_exceptions: which exceptions are in force, and which do not hold
--
-- detects: Whether somebody has silenced the pack.
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
SELECT 'investigate_exceptions' AS dsplug_query, id, path, bundle_identifier, team_identifier,
  cdhash, hash, signer, executable_hash, expires, reason, source, active, error
FROM dsplug_exceptions;
