-- The projects that a token is bound to, as a JSON list; NULL: all.
ALTER TABLE tokens ADD COLUMN projects TEXT;
-- An execution outlives its task, so it keeps the project itself; NULL: its task was deleted before this migration.
ALTER TABLE executions ADD COLUMN project TEXT;
UPDATE executions SET project = (SELECT project FROM tasks WHERE tasks.id = task_id);
