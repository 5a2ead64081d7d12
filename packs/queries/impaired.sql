-- impaired: the extension's scans, watch, journal or exceptions do not work
--
-- detects: A folder that cannot be listed or a scan that hangs, so that the other queries fail; somebody who
--   asks over the extension's socket and does not take the answers; a watch that is not told of writes and is left to the clock, events that are not kept in their file, a journal
--   that was damaged, changed, replaced or taken away, and a list of exceptions of which something is refused.
--   Each part of the extension has a row of its own while something is wrong with it, and none otherwise;
--   what is said of scans and of the journal stays until the extension starts anew, but for want of room.
-- adds: That the others do not see what they are meant to. Where the extension is gone they fail, which
--   Fleet's policies tell.
-- alert: yes
-- group: part detail
-- interval: 300
-- platform: darwin
-- snapshot: no
-- removed: no
-- base_line: no
-- severity: medium
-- risk_score: 47
-- mitre: TA0003 T1547
-- references: https://attack.mitre.org/techniques/T1547/
-- false_positives: A disk that was full, a profile with an entry that is not valid, a second dsplug
--   that watched before the extension came, an osqueryd that was stopped while it
--   took an answer, a Mac on which osquery has lost the right to read the disk.
-- osquery: 5.0.1
-- tables: none
-- flags: none
-- quiet: no
-- policy: The scans, the watch, the journal and the exceptions of dsplug work on this Mac.
-- resolution: Run dsplug doctor on the Mac, and dsplug query 'SELECT id, path, source, error FROM
--   dsplug_exceptions' for a list that is refused. Keep what stands aside beside the journal as evidence,
--   put right what detail names, and start osqueryd anew.
-- rule_id: 8a90d2ca-437b-41b6-8ad0-d4262dac6645
-- sigma_id: fc489725-c44a-49fe-b588-a976abcb06cd
WITH status AS MATERIALIZED (
  SELECT error, watch, watch_error, journal, journal_error, exceptions_path, exceptions_state
  FROM dsplug_status
)
SELECT 'impaired' AS dsplug_query, part, detail
FROM (
  SELECT 'scan' AS part,
    CASE WHEN error LIKE 'a scan has not come back for %'
      THEN substr(error, instr(error, 'it hangs at ')) ELSE error END AS detail
  FROM status WHERE error <> ''
  UNION ALL
  SELECT 'watch',
    CASE watch_error WHEN '' THEN 'it is left to the clock' ELSE watch_error END
  FROM status
  WHERE watch = 'tick' OR watch_error <> '' AND watch_error NOT LIKE 'limit: %'
  UNION ALL
  SELECT 'journal',
    CASE
      WHEN journal_error = '' THEN 'events are not kept'
      WHEN journal_error LIKE 'the journal has not % for % s'
        THEN substr(journal_error, 1, instr(journal_error, ' for ') - 1)
      ELSE journal_error END
  FROM status WHERE journal = 'error' OR journal_error <> ''
  UNION ALL
  SELECT 'exceptions', 'something is refused of ' || exceptions_path
  FROM status WHERE exceptions_state = 'error'
);
