-- A task belongs to a project, which counts its tasks: a number is never given twice. A project that was deleted stays
-- as a row, so that its counter does.
CREATE TABLE projects (
    project     TEXT PRIMARY KEY,
    title       TEXT NOT NULL,
    description TEXT NOT NULL,
    archived    INTEGER NOT NULL DEFAULT 0,
    deleted     INTEGER NOT NULL DEFAULT 0,
    last_number INTEGER NOT NULL DEFAULT 0,
    version     INTEGER NOT NULL DEFAULT 1,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;
INSERT INTO projects (project, title, description, last_number, created_at, updated_at)
SELECT 'default', 'Default', '', count(*), unixepoch() * 1000, unixepoch() * 1000 FROM tasks;

ALTER TABLE tasks ADD COLUMN project TEXT NOT NULL DEFAULT 'default';
ALTER TABLE tasks ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
-- The tasks that are there are counted in the order of their creation. A row that was damaged before keeps its wrong
-- checksum, so the damage is still found.
UPDATE tasks SET
    number = counted.number,
    sum = CASE
        WHEN sum = row_sum(tasks.id, title, description, status, priority, assignee, tags, artifacts, script, version,
            created_at, updated_at)
        THEN row_sum(tasks.id, title, description, status, priority, assignee, tags, artifacts, script, version,
            created_at, updated_at, project, counted.number)
        ELSE sum
    END
FROM (SELECT id, row_number() OVER (ORDER BY created_at, id) AS number FROM tasks) AS counted
WHERE tasks.id = counted.id;
CREATE UNIQUE INDEX tasks_by_key ON tasks (project, number);
CREATE INDEX tasks_by_project ON tasks (project, created_at, id);
