-- The secret itself is nowhere. A token that was revoked stays: it says who has been an actor, and that the hub asks
-- for tokens.
CREATE TABLE tokens (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    sha256     BLOB NOT NULL UNIQUE,
    scope      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;
-- A name says who has done something, so it has one holder at a time.
CREATE UNIQUE INDEX tokens_in_force ON tokens (name) WHERE revoked_at IS NULL;

-- Who has asked for an execution, or for its end: a token's name.
ALTER TABLE executions ADD COLUMN actor TEXT;

-- actor: the token's name; NULL where none was asked for, and for what the operator did on this machine.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    actor   TEXT,
    address TEXT,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_age ON audit (at);
