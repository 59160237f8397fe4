//! The tools, one file for each.

mod ask_person;
mod claim_task;
mod comment;
mod complete_task;
mod create_tasks;
mod fail_task;
mod get_task;
mod heartbeat;
mod list_tasks;
mod read_log;
mod run_task;
mod update_task;
mod wait_events;

use super::table::Row;

/// In the order of the work.
pub fn all() -> Vec<Row> {
    vec![
        list_tasks::row(),
        get_task::row(),
        create_tasks::row(),
        update_task::row(),
        claim_task::row(),
        heartbeat::row(),
        complete_task::row(),
        fail_task::row(),
        comment::row(),
        ask_person::row(),
        run_task::row(),
        read_log::row(),
        wait_events::row(),
    ]
}
