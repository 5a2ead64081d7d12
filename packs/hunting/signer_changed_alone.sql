-- signer_changed_alone: a signature that became another's on one Mac alone
--
-- question: Where did a bundle change hands, when on no other Mac it came to the same content?
-- answer: A vendor that renews its certificate does so on every Mac: raise fewer_than while an update
--   is on its way. What went from signed to adhoc, unsigned or broken on one Mac was altered there:
--   compare its digest with that of another Mac's copy by dsplug compare.
-- cost: The log is read once.
WITH settings AS (
  SELECT 2 AS fewer_than
),
bundles AS (
  SELECT host, path, unix_time, time_utc, digest,
    signature_state || '|' || anchor || '|' || signer || '|' || team_identifier AS signature
  FROM dsplug_lines
  WHERE dsplug_query IN ('modified', 'inventory') AND signature_state <> ''
),
steps AS (
  SELECT host, path, unix_time, time_utc, digest, signature,
    COALESCE(FIRST_VALUE(signature) OVER (
      PARTITION BY host, path ORDER BY unix_time, digest, signature
      ROWS BETWEEN 1 PRECEDING AND 1 PRECEDING), '') AS signature_before,
    COALESCE(FIRST_VALUE(digest) OVER (
      PARTITION BY host, path ORDER BY unix_time, digest, signature
      ROWS BETWEEN 1 PRECEDING AND 1 PRECEDING), '') AS digest_before
  FROM bundles
),
changes AS (
  SELECT host, path, signature_before, signature, digest AS new_digest,
    MIN(digest_before) AS old_digest, MIN(time_utc) AS changed_utc
  FROM steps
  WHERE signature_before <> '' AND signature_before <> signature
  GROUP BY host, path, signature_before, signature, digest
),
counted AS (
  SELECT host, path, signature_before, signature, changed_utc, old_digest, new_digest,
    COUNT(*) OVER (PARTITION BY path, signature, new_digest) AS hosts
  FROM changes
)
SELECT changed_utc, host, path, signature_before, signature, old_digest, new_digest, hosts
FROM counted
CROSS JOIN settings
WHERE hosts < fewer_than
ORDER BY changed_utc DESC, host, path, new_digest;
