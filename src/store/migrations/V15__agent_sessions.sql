-- Which task stands for a session of an agent. `prompted`: a prompt has given the task its title. A row goes with its task.
CREATE TABLE agent_sessions (
    project  TEXT NOT NULL,
    session  TEXT NOT NULL,
    task_id  BLOB NOT NULL,
    prompted INTEGER NOT NULL,
    PRIMARY KEY (project, session)
) STRICT, WITHOUT ROWID;
CREATE INDEX agent_sessions_by_task ON agent_sessions (task_id);
