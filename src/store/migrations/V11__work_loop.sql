-- What a task waits for, and who has it. `dependencies` is the other way round of `blocked_by`: which tasks wait for one.
-- `lease_number` counts the leases of a task and outlives them; `lease` is the present one as JSON.
ALTER TABLE tasks ADD COLUMN blocked_by TEXT NOT NULL DEFAULT '[]';
ALTER TABLE tasks ADD COLUMN ready INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN auto_start INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN lease TEXT;
ALTER TABLE tasks ADD COLUMN lease_number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN attempts_max INTEGER NOT NULL DEFAULT 3;
ALTER TABLE tasks ADD COLUMN waiting_for TEXT NOT NULL DEFAULT '[]';
-- As in V10: a row that was damaged before keeps its wrong checksum.
UPDATE tasks SET
    ready = status = 'todo' AND assignee IS NULL,
    sum = CASE
        WHEN sum = row_sum(id, title, description, status, priority, assignee, tags, artifacts, script, version,
            created_at, updated_at, project, number)
        THEN row_sum(id, title, description, status, priority, assignee, tags, artifacts, script, version,
            created_at, updated_at, project, number, '[]', CAST(status = 'todo' AND assignee IS NULL AS INTEGER), 0,
            NULL, 0, 3, '[]')
        ELSE sum
    END;
-- The claim takes the first of these; lists of what is ready walk along the others.
CREATE INDEX tasks_to_claim ON tasks (priority_rank DESC, created_at, id) WHERE ready = 1;
CREATE INDEX tasks_to_claim_by_project ON tasks (project, priority_rank DESC, created_at, id) WHERE ready = 1;
CREATE INDEX tasks_ready ON tasks (created_at, id) WHERE ready = 1;
CREATE INDEX tasks_ready_by_project ON tasks (project, created_at, id) WHERE ready = 1;

CREATE TABLE dependencies (
    blocker BLOB NOT NULL,
    task_id BLOB NOT NULL,
    PRIMARY KEY (blocker, task_id)
) STRICT, WITHOUT ROWID;

-- The leases in force. `renewals` tells a lease that was renewed from one that was not, whatever the clock says.
CREATE TABLE leases (
    id         BLOB PRIMARY KEY,
    task_id    BLOB NOT NULL UNIQUE,
    number     INTEGER NOT NULL,
    worker     TEXT NOT NULL,
    actor      TEXT,
    seconds    INTEGER NOT NULL,
    renewals   INTEGER NOT NULL DEFAULT 0,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX leases_by_worker ON leases (worker, number);

-- What a create with an Idempotency-Key has answered, so that a repetition is answered after an upgrade, too. The answer for a
-- task that is no more is forgotten.
DELETE FROM idempotency WHERE json_extract(task, '$.title') IS NOT NULL AND NOT EXISTS
    (SELECT 1 FROM tasks WHERE tasks.id = unhex(replace(json_extract(idempotency.task, '$.id'), '-', '')));
UPDATE idempotency SET task = json_set(task, '$.project', 'default',
    '$.key', 'default-' || (SELECT number FROM tasks
        WHERE tasks.id = unhex(replace(json_extract(idempotency.task, '$.id'), '-', ''))),
    '$.blocked_by', json('[]'), '$.ready', json('false'), '$.auto_start', json('false'), '$.lease', json('null'),
    '$.attempts', 0, '$.attempts_max', 3, '$.waiting_for', json('[]'))
WHERE json_extract(task, '$.title') IS NOT NULL;
