-- The log's own row: the epoch is drawn when the log is created; head is the seq of the last event and
-- outlives every row of events, so that a seq is never given twice.
CREATE TABLE log (
    only       INTEGER PRIMARY KEY CHECK (only = 1),
    epoch      INTEGER NOT NULL,
    head       INTEGER NOT NULL DEFAULT 0,
    last_at    INTEGER NOT NULL DEFAULT 0,
    executions INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO log (only, epoch) VALUES (1, abs(random() % 4294967296));

-- facets: JSON [before, after], what filters look at; NULL for an event that is about no task.
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    task_id BLOB,
    facets  TEXT,
    body    BLOB NOT NULL
) STRICT;

-- status and priority are stored as words and ranks: a rank sorts, a word reads.
CREATE TABLE tasks (
    id          BLOB PRIMARY KEY,
    title       TEXT NOT NULL,
    description TEXT NOT NULL,
    status      TEXT NOT NULL,
    status_rank INTEGER NOT NULL,
    priority    TEXT,
    priority_rank INTEGER NOT NULL,
    assignee    TEXT,
    tags        TEXT NOT NULL,
    artifacts   TEXT NOT NULL,
    script      TEXT,
    version     INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX tasks_by_creation ON tasks (created_at, id);

-- request: what to run, as JSON; cleared at the end, since it may hold secrets in its environment.
CREATE TABLE executions (
    id             BLOB PRIMARY KEY,
    number         INTEGER NOT NULL UNIQUE,
    task_id        BLOB NOT NULL,
    status         TEXT NOT NULL,
    exit_code      INTEGER,
    reason         TEXT,
    attempt        INTEGER NOT NULL,
    stop_requested INTEGER NOT NULL,
    request        TEXT,
    created_at     INTEGER NOT NULL,
    started_at     INTEGER,
    ended_at       INTEGER
) STRICT;
CREATE INDEX executions_by_task ON executions (task_id, number);
CREATE INDEX executions_live_by_age ON executions (number) WHERE status IN ('queued', 'running');
-- At most one live execution a task, whatever the code above believes.
CREATE UNIQUE INDEX executions_live ON executions (task_id) WHERE status IN ('queued', 'running');

-- What a create with an Idempotency-Key answered, so that a repetition answers the same.
CREATE TABLE idempotency (
    key         TEXT PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    task        TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX idempotency_by_age ON idempotency (created_at);
