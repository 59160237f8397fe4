//! The instructions of the server: how an agent works with the tools that its token may use.

use crate::config::McpProfile;
use crate::domain::token::Scope;

const READ: &str = "\
TaskHub holds tasks that agents and people work on. This token reads: it changes nothing, and claims no task.
list_tasks finds tasks, and get_task shows one with its comments and questions. Tasks are named by key, such as web-12. \
A task is ready when nobody has it and all that it waits for is done.
read_log shows the output of a task's script. wait_events(cursor) waits for changes and misses none: pass the cursor of its \
last answer.
A refused call says what to do in `next`.";

const LOOP: &str = "\
TaskHub holds tasks that agents and people work on. Your loop:
1. claim_task(worker: a name that only this session uses, wait_seconds: 45) gives you one task and a lease. Nothing? Call it again.
2. Work on it. Call heartbeat(lease, progress) before expires_at; when it answers stop: true, drop the task.
3. Unsure? ask_person(task, text, options, lease) waits for a person's answer, and renews the lease. Note findings with comment.
4. complete_task(lease, summary, proof): proof says what you checked and what came out. Cannot do it? fail_task(lease, reason).
Then begin again. The same worker that claims again gets its task back, so a lost answer costs nothing.
Tasks are named by key, such as web-12. To plan, create_tasks makes many at once; blocked_by names what comes first, by key or \
by the name of another task in the call. A task is ready when nobody has it and all of these are done.
";

const RUN: &str = "run_task runs a script on the hub's machine; read_log shows its output. ";

const LOGS: &str =
    "read_log shows the output of a task's script; running one takes a token with the scope exec. ";

const END: &str = "\
wait_events(cursor) waits for changes and misses none: pass the cursor of its last answer.
A refused call says what to do in `next`.";

const CLASSIC: &str = "\
TaskHub holds tasks, runs their scripts, and streams every change. These are the tools of its first version.";

/// For a token of this scope.
pub fn of(profile: McpProfile, scope: Scope) -> String {
    match (profile, scope) {
        (McpProfile::Classic, _) => CLASSIC.to_owned(),
        (McpProfile::Agent, Scope::Read) => READ.to_owned(),
        (McpProfile::Agent, Scope::Write) => [LOOP, LOGS, END].concat(),
        (McpProfile::Agent, Scope::Exec) => [LOOP, RUN, END].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::profiles::tools_of;

    #[test]
    fn they_name_only_tools_that_the_scope_may_use() {
        for scope in [Scope::Read, Scope::Write, Scope::Exec] {
            let words = of(McpProfile::Agent, scope);
            for row in tools_of(McpProfile::Agent).iter().filter(|row| row.scope > scope) {
                let mut named = words.split(|c: char| !(c.is_alphanumeric() || c == '_'));
                assert!(!named.any(|word| word == row.name), "{} with {scope:?}", row.name);
            }
            assert!(words.contains("wait_events"));
        }
    }
}
