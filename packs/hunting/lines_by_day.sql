-- lines_by_day: how many lines each query gave, day by day
--
-- question: What does the pack cost, and on which day did the fleet change?
-- answer: A quiet fleet has its inventories and nothing else. Base lines are Macs that were asked for
--   the first time; a day of many that nobody planned is a day on which databases were lost. A peak
--   of modified is an update when first_seen_in_fleet has one digest for it, and a question when it
--   has many.
-- cost: The log is read once.
SELECT day, dsplug_query,
  COUNT(*) AS line_count,
  COUNT(CASE WHEN counter = 0 AND action <> 'snapshot' THEN 1 END) AS base_lines,
  COUNT(DISTINCT host) AS hosts,
  COUNT(DISTINCT CASE WHEN digest <> '' THEN digest END) AS digests
FROM dsplug_lines
WHERE dsplug_query <> ''
GROUP BY day, dsplug_query
ORDER BY day, dsplug_query;
