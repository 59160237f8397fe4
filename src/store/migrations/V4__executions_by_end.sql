-- Retention asks for what ended long ago.
CREATE INDEX executions_by_end ON executions (ended_at, number) WHERE ended_at IS NOT NULL;
