//! The key of a task: what people call it by.

use std::fmt;
use std::str::FromStr;

use poem_openapi::registry::MetaSchema;

use crate::domain::project::ProjectName;
use crate::domain::schema::text_type;

/// Most digits of a number: no project has that many tasks, and every language can hold it.
const DIGITS_MAX: usize = 18;

/// `{project}-{number}`. The number is counted for each project, starts at 1 and is never given twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskKey {
    pub project: ProjectName,
    pub number: i64,
}

impl TaskKey {
    fn meta() -> MetaSchema {
        MetaSchema {
            example: Some("web-17".into()),
            pattern: Some("^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?-[1-9][0-9]{0,17}$".into()),
            ..MetaSchema::new("string")
        }
    }
}

impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.project, self.number)
    }
}

impl FromStr for TaskKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (project, number) = text.rsplit_once('-')?;
            let is_plain = number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with('0');
            let number: i64 = number.parse().ok().filter(|_| is_plain && number.len() <= DIGITS_MAX)?;
            Some(Self { project: project.parse().ok()?, number })
        };
        parse().ok_or_else(|| "expected the key of a task such as web-17".to_owned())
    }
}

text_type!(TaskKey, "task_key");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_project_and_a_number() {
        for good in ["web-17", "a-b-1", "2-2", "default-999999999999999999"] {
            assert_eq!(good.parse::<TaskKey>().map(|key| key.to_string()).as_deref(), Ok(good));
        }
        for bad in [
            "web",
            "web-",
            "-1",
            "web-0",
            "web-01",
            "web-+1",
            "Web-1",
            "web--1",
            "web-1000000000000000000",
            &format!("{}-1", "a".repeat(33)),
        ] {
            assert!(bad.parse::<TaskKey>().is_err(), "{bad}");
        }
    }
}
