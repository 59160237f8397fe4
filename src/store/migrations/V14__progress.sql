-- How far a worker is, as it said last; and how long its lease lasts once it has renewed it, when it was given for less.
ALTER TABLE leases ADD COLUMN progress TEXT;
ALTER TABLE leases ADD COLUMN confirmed_seconds INTEGER;
