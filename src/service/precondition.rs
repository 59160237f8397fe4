//! Conditions on the version of what is changed.

use super::ServiceError;

/// The conditions of a change: `If-Match` and `If-None-Match` (RFC 9110, sections 13.1.1 and
/// 13.1.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precondition {
    /// It must be at one of these versions.
    pub if_match: Option<Versions>,
    /// It must be at none of these versions.
    pub if_none_match: Option<Versions>,
}

/// The versions that a condition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Versions {
    /// `*`: any version.
    Any,
    /// Empty when the header named only tags that are no versions.
    OneOf(Vec<i64>),
}

impl Versions {
    fn name(&self, version: i64) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(versions) => versions.contains(&version),
        }
    }
}

impl Precondition {
    pub(super) fn check(&self, version: i64) -> Result<(), ServiceError> {
        let is_wanted = self.if_match.as_ref().is_none_or(|versions| versions.name(version));
        let is_unwanted = self.if_none_match.as_ref().is_some_and(|versions| versions.name(version));
        match is_wanted && !is_unwanted {
            true => Ok(()),
            false => Err(ServiceError::VersionMismatch { current: version }),
        }
    }
}
