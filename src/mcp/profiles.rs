//! The profiles: which tools agents see.

use std::sync::LazyLock;

use crate::config::McpProfile;

use super::table::Row;
use super::{classic, tools};

static TOOLS: LazyLock<Vec<Row>> = LazyLock::new(tools::all);

/// The tools of a profile.
pub fn tools_of(profile: McpProfile) -> &'static [Row] {
    match profile {
        McpProfile::Agent => &TOOLS,
        McpProfile::Classic => &classic::TOOLS,
    }
}
