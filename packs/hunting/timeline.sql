-- timeline: what happened in the fleet, day by day
--
-- question: On which days did bundles appear, change or go, and on how many Macs?
-- answer: A day with many changes and one digest is an update (first_seen_in_fleet); one with a single
--   change on a single Mac is what changed_on_day tells in full. events counts what the extension saw
--   happen, what came and went between two queries with it: more events than changes is such a day.
--   Base lines are not counted.
-- cost: The log is read once.
SELECT day,
  COUNT(CASE WHEN dsplug_query = 'presence' AND action = 'added' THEN 1 END) AS appeared,
  COUNT(CASE WHEN dsplug_query = 'modified' THEN 1 END) AS changed,
  COUNT(CASE WHEN dsplug_query = 'presence' AND action = 'removed' THEN 1 END) AS gone,
  COUNT(CASE WHEN dsplug_query = 'events' THEN 1 END) AS events,
  COUNT(DISTINCT host) AS hosts
FROM dsplug_lines
WHERE dsplug_query IN ('presence', 'modified', 'events') AND counter > 0
GROUP BY day
ORDER BY day;
