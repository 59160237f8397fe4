//! What an agent calls a task by: its key in any case, or its id.

use std::fmt;

use serde::Deserialize;

use crate::domain::id::TaskId;
use crate::domain::task::{Task, TaskKey};
use crate::service::{Service, ServiceError, Stamped};

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum TaskName {
    Key(TaskKey),
    Id(TaskId),
}

impl TryFrom<String> for TaskName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let text = text.trim();
        match (text.parse(), text.to_lowercase().parse()) {
            (Ok(id), _) => Ok(Self::Id(id)),
            (_, Ok(key)) => Ok(Self::Key(key)),
            _ => Err("expected the key of a task such as web-12, or its id".to_owned()),
        }
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => key.fmt(f),
            Self::Id(id) => id.fmt(f),
        }
    }
}

impl TaskName {
    /// # Errors
    /// [`ServiceError::NoTask`], [`ServiceError::NoTaskOf`], [`ServiceError::Store`]
    pub async fn find(self, service: &Service) -> Result<Stamped<Task>, ServiceError> {
        match self {
            Self::Key(key) => service.task_of(key).await,
            Self::Id(id) => service.task(id, None).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_be_in_capitals() {
        let key = TaskName::Key("web-12".parse().expect("a key"));
        for text in ["web-12", "WEB-12", " Web-12 "] {
            assert_eq!(TaskName::try_from(text.to_owned()), Ok(key.clone()), "{text}");
        }
        let id = "0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e";
        assert_eq!(TaskName::try_from(id.to_owned()), Ok(TaskName::Id(id.parse().expect("an id"))));
        assert!(TaskName::try_from("the second one".to_owned()).is_err());
    }
}
