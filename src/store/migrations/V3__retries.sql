-- An attempt after the first waits until its time has come; how many there may be outlives the request, which is
-- cleared at the end.
ALTER TABLE executions ADD COLUMN attempts_max INTEGER NOT NULL DEFAULT 1;
ALTER TABLE executions ADD COLUMN not_before INTEGER;
