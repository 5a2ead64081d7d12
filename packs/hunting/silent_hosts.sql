-- silent_hosts: a Mac that has sent no inventory for two days
--
-- question: Which Macs would not tell if something were planted on them now?
-- answer: blind: the Mac went on to send other lines for two days and more after its last inventory, so
--   the extension does not run or its query fails (Full Disk Access, a folder that cannot be listed);
--   ask SELECT * FROM dsplug_status and run dsplug doctor there. never: the same, and there never was
--   an inventory. gone: for two days it has sent nothing at all; it may be switched off or asleep.
--   clock: its lines come from the future, so nobody would see it fall silent. osqueryd counts the
--   time that a Mac is awake: a laptop that is open eight hours a day sends its daily inventory every
--   third day, so set days to 4 where laptops are many. With every_host = yes hosts without any line
--   of the pack are here too, those that are no Macs among them; Fleet's policy dsplug is registered
--   tells of those by itself. What counts as now is the time that three in four hosts have not
--   passed, so that a few wrong clocks do not make all others silent.
-- cost: The log is read once.
WITH settings AS (
  SELECT 2 AS days, 'no' AS every_host
),
hosts AS (
  SELECT host,
    MIN(unix_time) AS first_line,
    MAX(unix_time) AS last_line,
    MAX(time_utc) AS last_line_utc,
    MAX(CASE WHEN dsplug_query <> '' THEN 1 ELSE 0 END) AS has_the_pack,
    MAX(CASE WHEN dsplug_query = 'inventory' THEN unix_time ELSE 0 END) AS last_inventory,
    MAX(CASE WHEN dsplug_query = 'inventory' THEN time_utc ELSE '' END) AS last_inventory_utc
  FROM dsplug_lines
  GROUP BY host
),
placed AS (
  SELECT ROW_NUMBER() OVER (ORDER BY last_line DESC, host) AS place,
    COUNT(*) OVER () AS all_hosts,
    host, last_line, last_line_utc, has_the_pack, last_inventory, last_inventory_utc,
    CASE WHEN last_inventory > 0 THEN last_inventory ELSE first_line END AS heard
  FROM hosts
),
timed AS (
  SELECT host, last_line, last_line_utc, has_the_pack, last_inventory, last_inventory_utc, heard,
    MAX(CASE
      WHEN place * 4 > all_hosts AND (place > 1 OR all_hosts < 3) THEN last_line ELSE 0 END)
      OVER () AS now_time
  FROM placed
)
SELECT host,
  CASE
    WHEN last_line > now_time + 86400 THEN 'clock'
    WHEN last_line < now_time - 86400 * days THEN 'gone'
    WHEN last_inventory = 0 THEN 'never'
    ELSE 'blind'
  END AS silence,
  last_line_utc,
  last_inventory_utc,
  FLOOR((now_time - heard) / 864e1 + 0.5) / 10 AS days_silent
FROM timed
CROSS JOIN settings
WHERE (last_line > now_time + 86400
    OR last_line < now_time - 86400 * days
    OR last_line > heard + 86400 * days)
  AND (has_the_pack = 1 OR every_host = 'yes')
ORDER BY silence, last_inventory_utc, host;
