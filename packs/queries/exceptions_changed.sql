-- exceptions_changed: the list of accepted bundles changed, or does not hold
--
-- detects: An exception that came, went, expired or was altered in any of its keys, a wish for copies
--   (KeepCopies) that was changed, and a file of exceptions that is refused because it is damaged or
--   others than root could write it. Who can write exceptions can silence every other query of this
--   pack.
-- adds: Nothing else tells who silences the others. accepts has all fields that say which code is
--   accepted, in one text: lines that agree in it, in id and in path are one alert.
-- alert: yes
-- group: id path accepts
-- interval: 300
-- platform: darwin
-- snapshot: no
-- removed: yes
-- severity: medium
-- risk_score: 47
-- mitre: TA0003 T1547
-- references: https://attack.mitre.org/techniques/T1547/
-- false_positives: A change of the list by those who keep it; an entry that expires as planned.
-- osquery: 5.0.1
-- tables: none
-- flags: none
-- ecs: file.path=path
-- quiet: no
-- rule_id: 1fd5c743-a9de-4eaf-b371-c0c2e32e7a6e
-- sigma_id: be895774-4414-44db-9a89-846f77de327f
SELECT 'exceptions_changed' AS dsplug_query, id, path, bundle_identifier, team_identifier, cdhash,
  hash, signer, executable_hash, linked_hash, load_verdict, kind, discovered_via, expires, reason,
  source, active, keep_copies, error, hash || ' ' || executable_hash || ' ' || linked_hash || ' ' ||
  cdhash || ' ' || team_identifier || ' ' || bundle_identifier || ' ' || signer AS accepts
FROM dsplug_exceptions;
