//! A hub for a scenario, on whatever cores the machine gives it.

use std::path::Path;
use std::time::Duration;

use rig::cores::Cores;
use rig::hub::Hub;

use crate::crowd::{Ask, Crowd};
use crate::publisher::{Load, Publisher};

/// How long warming up may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts a hub on the data in `directory`, and gets what a hub allocates once out of the way, so that what is
/// measured later belongs to the load.
pub fn hub(directory: &Path, flags: &[&str]) -> anyhow::Result<Hub> {
    let hub = Hub::start(env!("CARGO_BIN_EXE_taskhub"), directory, flags, &Cores::default())?;
    let mut crowd = Crowd::open(hub.address, &Ask::default(), 20, 1)?;
    crowd.connected()?;
    let publisher = Publisher::start(hub.address, Load { connections: 4, ..Load::default() });
    crowd.until(PATIENCE, |_, _| {}, |crowd| Ok(crowd.events() >= 20 * 50))?;
    publisher.stop();
    crowd.until(
        PATIENCE,
        |_, _| {},
        |crowd| Ok(publisher.has_ended() && crowd.all_at(publisher.acknowledged())),
    )?;
    publisher.finish()?;
    Ok(hub)
}
