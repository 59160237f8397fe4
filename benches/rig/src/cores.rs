//! Which core does what. A server that wanders, or shares a core with who measures it, has no price.

use std::num::NonZero;
use std::process::{Child, Command};

use anyhow::{Context, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Where servers and the load client run; nowhere in particular on a machine of one core.
#[derive(Debug, Clone, Default)]
pub struct Cores {
    server: Vec<usize>,
    client: Vec<usize>,
}

impl Cores {
    /// Servers on the second core and the client on the first, unless told otherwise. Pins this thread.
    ///
    /// # Errors
    /// When there is no such core.
    pub fn assign(server: &[usize], client: Option<usize>) -> anyhow::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, NonZero::get);
        if count == 1 && server.is_empty() && client.is_none() {
            return Ok(Self::default());
        }
        let server = if server.is_empty() { vec![1] } else { server.to_vec() };
        let cores = Self { server, client: vec![client.unwrap_or(0)] };
        pin(&cores.client)?;
        Ok(cores)
    }

    /// Starts a process on the cores of the servers, which it inherits from this thread.
    ///
    /// # Errors
    /// When it does not start.
    pub fn spawn(&self, command: &mut Command) -> anyhow::Result<Child> {
        pin(&self.server)?;
        let child = command.spawn().with_context(|| format!("{:?} does not start", command.get_program()));
        pin(&self.client)?;
        child
    }

    /// For the head of a report.
    pub fn describe(&self) -> String {
        match self.server.is_empty() {
            true => "one core for all".to_owned(),
            false => format!("servers on core {:?}, load client on core {:?}", self.server, self.client),
        }
    }
}

fn pin(cores: &[usize]) -> anyhow::Result<()> {
    if cores.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for core in cores {
        ensure!(*core < CpuSet::MAX_CPU, "there is no core {core}");
        set.set(*core);
    }
    sched_setaffinity(None, &set).with_context(|| format!("this machine has no core {cores:?} for us"))
}
