//! A hub for a scenario, on whatever cores the machine gives it.

use std::path::Path;
use std::time::Duration;

use rig::cores::Cores;
use rig::hub::Hub;

use crate::publisher::{Load, Publisher};
use crate::readers::{Ask, Readers};

/// How long warming up may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts a hub on the data in `directory`, and gets what a hub allocates once out of the way, so that what is
/// measured later belongs to the load.
pub fn hub(directory: &Path, flags: &[&str]) -> anyhow::Result<Hub> {
    let hub = Hub::start(env!("CARGO_BIN_EXE_taskhub"), directory, flags, &Cores::default())?;
    let mut readers = Readers::open(hub.address, &Ask::default(), 20, 1)?;
    readers.connected()?;
    let publisher = Publisher::start(hub.address, Load { connections: 4, ..Load::default() });
    readers.until(PATIENCE, |_, _| {}, |readers| Ok(readers.events() >= 20 * 50))?;
    publisher.stop();
    readers.until(
        PATIENCE,
        |_, _| {},
        |readers| Ok(publisher.has_ended() && readers.all_at(publisher.acknowledged())),
    )?;
    publisher.finish()?;
    Ok(hub)
}
