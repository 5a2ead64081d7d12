-- late_lines: a change whose line came more than ten minutes after it
--
-- question: Which changes did the fleet learn of late, and on which Macs?
-- answer: A Mac that slept explains itself by other lines of the same minute. A late line of a Mac
--   that was awake is one that something held back: look at osquery's own log there. The time of a
--   change is that of time_to_line.
-- cost: The log is read once.
WITH settings AS (
  SELECT 600 AS later_than
),
pack_lines AS (
  SELECT host, dsplug_query, path, digest, time_utc, unix_time, counter,
    CASE
      WHEN dsplug_query = 'folder_changed' THEN ctime
      WHEN dsplug_query = 'events' THEN event_time
    END AS own_time,
    MIN(CASE WHEN dsplug_query = 'inventory' AND ctime > 0 THEN ctime END) OVER (
      PARTITION BY host, path, digest ORDER BY unix_time
      ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS inventory_ctime
  FROM dsplug_lines
  WHERE dsplug_query IN ('modified', 'events', 'folder_changed', 'inventory') AND path <> ''
),
delays AS (
  SELECT host, dsplug_query, path, digest, time_utc,
    unix_time - CASE WHEN dsplug_query = 'modified' THEN inventory_ctime ELSE own_time END AS seconds
  FROM pack_lines
  WHERE dsplug_query <> 'inventory' AND counter > 0
)
SELECT time_utc, host, dsplug_query, path, digest, seconds
FROM delays
CROSS JOIN settings
WHERE seconds > later_than
ORDER BY seconds DESC, host, dsplug_query, path, time_utc;
