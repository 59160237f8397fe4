//! Which projects a caller may see and change: all, or only those that its token is bound to.
//!
//! For a caller that is bound, every other project does not exist. The hub's own work is not bound.

use std::fmt;
use std::sync::Arc;

use super::project::ProjectName;

/// The projects that a caller may see and change; all by default. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct AllowedProjects(Option<Arc<[ProjectName]>>);

impl AllowedProjects {
    /// Only these projects, whether they exist yet or not.
    pub fn only(mut names: Vec<ProjectName>) -> Self {
        names.sort_unstable();
        names.dedup();
        Self(Some(names.into()))
    }

    /// The names, sorted; `None` when all projects are allowed.
    pub fn names(&self) -> Option<&[ProjectName]> {
        self.0.as_deref()
    }

    /// Whether only some projects are allowed.
    pub fn is_bound(&self) -> bool {
        self.0.is_some()
    }

    pub fn allow(&self, project: &ProjectName) -> bool {
        self.names().is_none_or(|names| names.contains(project))
    }
}

/// The names, separated by commas, or `all projects`.
impl fmt::Display for AllowedProjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names() {
            Some(names) => f.write_str(&names.iter().map(ProjectName::as_str).collect::<Vec<_>>().join(",")),
            None => f.write_str("all projects"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_bound_sees_only_the_projects_that_are_named() {
        let name = |text: &str| -> ProjectName { text.parse().expect("a name") };
        let all = AllowedProjects::default();
        assert!(!all.is_bound() && all.allow(&name("a")) && all.to_string() == "all projects");
        let two = AllowedProjects::only(vec![name("b"), name("a"), name("b")]);
        assert_eq!(two.names(), Some(&[name("a"), name("b")][..]));
        assert_eq!(two.to_string(), "a,b");
        assert!(two.allow(&name("b")) && !two.allow(&name("c")) && !two.allow(&name("default")));
        assert!(!AllowedProjects::only(vec![]).allow(&name("a")));
    }
}
