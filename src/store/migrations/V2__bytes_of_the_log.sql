-- How far behind a client is, in bytes: each event knows what lies before it, removed events included (those that
-- were removed before this column came count for nothing).
ALTER TABLE events ADD COLUMN bytes_before INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
UPDATE events SET bytes_before = earlier.bytes
    FROM (SELECT seq, sum(length(body)) OVER (ORDER BY seq) - length(body) AS bytes FROM events) AS earlier
    WHERE events.seq = earlier.seq;
UPDATE log SET bytes = (SELECT coalesce(sum(length(body)), 0) FROM events);
