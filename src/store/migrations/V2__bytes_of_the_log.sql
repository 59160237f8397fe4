-- How far behind a client is, in bytes: each event knows what lies before it. Those that were there before this
-- column came, and those before them, count for nothing: to add them up would take a large log many seconds.
ALTER TABLE events ADD COLUMN bytes_before INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
