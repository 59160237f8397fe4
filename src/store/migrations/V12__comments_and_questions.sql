-- What people and scripts say about a task. Both go with their task.
CREATE TABLE comments (
    id         BLOB PRIMARY KEY,
    task_id    BLOB NOT NULL,
    author     TEXT,
    text       TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX comments_by_task ON comments (task_id, id);

-- `options` is a JSON array.
CREATE TABLE questions (
    id             BLOB PRIMARY KEY,
    task_id        BLOB NOT NULL,
    text           TEXT NOT NULL,
    options        TEXT NOT NULL,
    default_answer TEXT,
    status         TEXT NOT NULL,
    answer         TEXT,
    answered_by    TEXT,
    asked_by       TEXT,
    created_at     INTEGER NOT NULL,
    deadline_at    INTEGER,
    ended_at       INTEGER
) STRICT;
CREATE INDEX questions_by_task ON questions (task_id, id);
CREATE INDEX questions_open ON questions (id) WHERE status = 'open';
CREATE INDEX questions_by_deadline ON questions (deadline_at) WHERE status = 'open' AND deadline_at IS NOT NULL;
