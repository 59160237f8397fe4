//! What is measured. Each scenario is one question, with a load that can be changed.

mod deliveries;
mod filters;
mod growth;
mod idle;
mod last;
mod rest;
mod resume;
mod soak;
mod stalled;

use clap::Subcommand;

use crate::bench::Bench;

#[derive(Debug, Clone, Subcommand)]
pub enum Scenario {
    /// What does a delivery cost while events come one by one?
    Paced(deliveries::Paced),
    /// And while they come ten times as fast: how long do they take?
    Fast(deliveries::Fast),
    /// What does a delivery cost when a thousand events come at once?
    Burst(deliveries::Burst),
    /// And when ten do?
    Groups(deliveries::Groups),
    /// How many deliveries a second are there at most?
    Saturated(deliveries::Saturated),
    /// One event: when has the last client got it?
    Last(last::Options),
    /// What does a client cost that only listens?
    Idle(idle::Options),
    /// How long do other requests take meanwhile?
    Rest(rest::Options),
    /// What do clients cost that do not read?
    Stalled(stalled::Options),
    /// What do filters cost?
    Filters(filters::Options),
    /// How fast do clients get what they have missed?
    Resume(resume::Options),
    /// Does a delivery cost the same to a hundred clients and to ten thousand?
    Growth(growth::Options),
    /// Does anything grow that should not, in minutes or hours? Only when asked for
    Soak(soak::Options),
}

impl Scenario {
    /// Every one with its usual load, but the soak.
    pub fn all() -> Vec<Self> {
        vec![
            Self::Paced(Default::default()),
            Self::Fast(Default::default()),
            Self::Burst(Default::default()),
            Self::Groups(Default::default()),
            Self::Saturated(Default::default()),
            Self::Last(Default::default()),
            Self::Idle(Default::default()),
            Self::Rest(Default::default()),
            Self::Stalled(Default::default()),
            Self::Filters(Default::default()),
            Self::Resume(Default::default()),
            Self::Growth(Default::default()),
        ]
    }

    pub fn run(self, bench: &mut Bench) -> anyhow::Result<()> {
        match self {
            Self::Paced(options) => options.run(bench),
            Self::Fast(options) => options.run(bench),
            Self::Burst(options) => options.run(bench),
            Self::Groups(options) => options.run(bench),
            Self::Saturated(options) => options.run(bench),
            Self::Last(options) => options.run(bench),
            Self::Idle(options) => options.run(bench),
            Self::Rest(options) => options.run(bench),
            Self::Stalled(options) => options.run(bench),
            Self::Filters(options) => options.run(bench),
            Self::Resume(options) => options.run(bench),
            Self::Growth(options) => options.run(bench),
            Self::Soak(options) => options.run(bench),
        }
    }
}
