//! What an agent calls an execution by: its id, or the name of its session such as `taskhub-7`, as other tools show it.

use serde::Deserialize;

use crate::api::problem::Code;
use crate::domain::execution::Execution;
use crate::domain::id::ExecutionId;
use crate::domain::task::Task;

use super::call::Call;
use super::failure::Failure;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum ExecutionName {
    Id(ExecutionId),
    Number(i64),
}

impl TryFrom<String> for ExecutionName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let number = text.strip_prefix("taskhub-").unwrap_or(text).parse().ok().filter(|number| *number > 0);
        number
            .map(Self::Number)
            .ok_or_else(|| "expected an execution such as taskhub-7, or its id".to_owned())
    }
}

impl ExecutionName {
    /// # Errors
    /// A [`Failure`] when it is none of this task's
    pub async fn find(self, call: &Call, task: &Task) -> Result<Execution, Failure> {
        match self {
            Self::Id(id) => Ok(call.service.execution_of(task.id, Some(id)).await?),
            Self::Number(number) => {
                let found = call.service.numbered_execution(task.id, number).await?;
                if found.number == number {
                    return Ok(found);
                }
                let detail = format!("execution: task {} has no execution taskhub-{number}", task.key);
                let next = format!("leave execution out for the last one, {}", found.session_name);
                Err(Failure::new(Code::ExecutionNotFound, detail, next))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_is_named_by_its_session_or_its_id() {
        let id = "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e";
        let name = |text: &str| ExecutionName::try_from(text.to_owned());
        assert_eq!(name(id), Ok(ExecutionName::Id(id.parse().expect("an id"))));
        for text in ["taskhub-7", " 7 "] {
            assert_eq!(name(text), Ok(ExecutionName::Number(7)), "{text}");
        }
        for odd in ["", "taskhub-", "taskhub-0", "taskhub--1", "last"] {
            assert!(name(odd).is_err(), "{odd}");
        }
    }
}
