-- time_to_line: how long a change takes until its line is there
--
-- question: How soon after a change does the fleet know, by each query?
-- answer: The slowest tell of Macs that slept or were offline; late_lines names them. An average far
--   above the interval of the query says that the schedule does not keep up: ask osquery_schedule on
--   such a Mac. The time of a change is the status change (ctime) that touch cannot set: for a
--   bundle that of the next inventory with the same digest, for a folder that of its line, for an
--   event the time at which the extension saw it. What was touched again before the inventory is
--   left out.
-- cost: The log is read once.
WITH pack_lines AS (
  SELECT host, dsplug_query, unix_time, counter,
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
  SELECT host, dsplug_query,
    unix_time - CASE WHEN dsplug_query = 'modified' THEN inventory_ctime ELSE own_time END AS seconds
  FROM pack_lines
  WHERE dsplug_query <> 'inventory' AND counter > 0
)
SELECT dsplug_query,
  COUNT(*) AS changes,
  COUNT(DISTINCT host) AS hosts,
  MIN(seconds) AS fastest_seconds,
  FLOOR(AVG(seconds) * 10 + 0.5) / 10 AS average_seconds,
  MAX(seconds) AS slowest_seconds,
  COUNT(CASE WHEN seconds > 600 THEN 1 END) AS later_than_ten_minutes
FROM delays
WHERE seconds >= 0
GROUP BY dsplug_query
ORDER BY dsplug_query;
