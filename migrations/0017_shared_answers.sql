-- A message to a channel tells of several people, and its answer can repeat all of them. It was kept for each of them, sealed
-- with that person's key alone, so that it outlived the others' erasure. Such answers are kept no more; these go.

-- The attempts of one request have its time and its duration in common.
UPDATE webhook_attempt SET answer = NULL
WHERE answer IS NOT NULL AND (endpoint, at, duration_us) IN
    (SELECT endpoint, at, duration_us FROM webhook_attempt GROUP BY endpoint, at, duration_us HAVING COUNT(*) > 1);
