//! `filters`: what it costs to look, for each client, whether an event is for it. The hub alone has filters.
//!
//! As many tasks as clients change their titles. Nobody filters; or each client has a filter of its own that all
//! events pass; or each client follows one task of its own by its assignee, so that one in so many is for it.

use clap::Args;
use rig::figures::count;
use rig::hub::post;
use rig::process::need_descriptors;
use rig::report::{Sample, Section};
use serde_json::json;

use crate::bench::Bench;
use crate::load::Load;
use crate::servers::{Kind, change};
use rig::listener::Ids;
use rig::load_client::Ask;

#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Clients, and filters [default: 1000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    clients: Option<u32>,
    /// Length of a repetition [default: 2]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: Option<u64>,
}

/// Who filters what.
#[derive(Debug, Clone, Copy)]
enum Filters {
    None,
    /// Each has another one, and all events pass all of them.
    Pass,
    /// Each has another one, and each event passes one.
    Divide,
}

impl Filters {
    const ALL: [Self; 3] = [Self::None, Self::Pass, Self::Divide];

    fn name(self) -> &'static str {
        match self {
            Self::None => "no filters",
            Self::Pass => "all differ, all pass",
            Self::Divide => "all differ, one passes",
        }
    }
}

impl Options {
    pub fn run(self, bench: &mut Bench) -> anyhow::Result<()> {
        let clients = self.clients.unwrap_or(bench.usual(1000, 20)) as usize;
        let seconds = self.seconds.unwrap_or(bench.usual(2, 1));
        need_descriptors(clients)?;
        for kind in bench.hubs() {
            let title = format!("filters: {}, {} clients", kind.name(), count(clients as u64));
            let mut section = Section::new(title);
            for _ in 0..bench.repetitions {
                for filters in Filters::ALL {
                    section.note(filters.name(), measure(bench, kind, filters, clients, seconds)?);
                }
            }
            section.compare("net µs", Filters::None.name());
            bench.show(section);
        }
        Ok(())
    }
}

fn measure(
    bench: &Bench,
    kind: Kind,
    filters: Filters,
    clients: usize,
    seconds: u64,
) -> anyhow::Result<Sample> {
    let mut server = kind.start(&bench.cores)?;
    let tasks = (0..clients).map(|number| {
        // As long as the other events, with the words of a task in it.
        let task = json!({
            "title": "Measure what it costs to look for what is wanted", "priority": "high",
            "assignee": format!("engineer-{number}"), "tags": ["all", format!("only-{number}")],
        });
        let task = post(server.address, "/api/tasks", &task)?;
        Ok(task["id"].as_str().unwrap_or_default().to_owned())
    });
    let tasks = tasks.collect::<anyhow::Result<Vec<_>>>()?;
    server.way = change(tasks);
    // What comes one by one is written one by one, with filters and without.
    let (rate, reaches) = match filters {
        Filters::None | Filters::Pass => (50, clients as u64),
        Filters::Divide => (1000, 1),
    };
    let load = Load {
        clients,
        events: bench.events(rate, seconds),
        group: 1,
        per_second: Some(rate as f64),
        reaches: Some(reaches),
    };
    let base = server.ask();
    load.measure_on(&server, |number| {
        let (query, ids) = match filters {
            Filters::None => (String::new(), Ids::Hub),
            Filters::Pass => (format!("?tag=all,only-{number}"), Ids::HubFiltered),
            Filters::Divide => (format!("?assignee=engineer-{number}"), Ids::HubFiltered),
        };
        Ask { path: format!("{}{query}", base.path), ids, ..base.clone() }
    })
}
