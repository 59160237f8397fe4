//! Identifiers: UUIDv7. The hub writes the canonical form and accepts no other.

use std::fmt;
use std::str::FromStr;

use poem_openapi::registry::MetaSchema;
use uuid::Uuid;

use super::schema::text_type;

/// Parses a UUID in its canonical form. Refuses braces and `urn:uuid:`.
fn canonical_uuid(text: &str) -> Result<Uuid, String> {
    match Uuid::try_parse(text) {
        Ok(id) if text.len() == 36 => Ok(id),
        _ => Err("expected a UUID such as 0197f9a2-6c1e-7b5a-9d3e-2f4a8c6b1d0e".to_owned()),
    }
}

/// Makes a newtype over a UUIDv7. These ids sort by time, so that the database appends new rows at
/// the end of the index.
macro_rules! uuid_newtype {
    ($(#[doc = $doc:literal])+ $name:ident, $wire:literal) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            pub fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            pub fn uuid(self) -> Uuid {
                self.0
            }

            fn meta() -> MetaSchema {
                MetaSchema::new_with_format("string", "uuid")
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                canonical_uuid(text).map(Self)
            }
        }

        text_type!($name, $wire);
    };
}

uuid_newtype!(
    /// Identifies a task (UUIDv7).
    TaskId,
    "task_id"
);

uuid_newtype!(
    /// Identifies an execution (UUIDv7).
    ExecutionId,
    "execution_id"
);

uuid_newtype!(
    /// Identifies a lease (UUIDv7).
    LeaseId,
    "lease_id"
);

uuid_newtype!(
    /// Identifies a question (UUIDv7).
    QuestionId,
    "question_id"
);

uuid_newtype!(
    /// Identifies a comment (UUIDv7).
    CommentId,
    "comment_id"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_form_of_a_uuid_is_taken() {
        let id = TaskId::generate();
        assert_eq!(id.to_string().parse(), Ok(id));
        for odd in [format!("{{{id}}}"), format!("urn:uuid:{id}"), id.uuid().simple().to_string()] {
            assert!(odd.parse::<TaskId>().is_err(), "{odd}");
        }
    }
}
