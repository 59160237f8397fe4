//! Agents that wait for events: what one holds in memory, and how soon all are woken.

use std::time::{Duration, Instant};

use anyhow::ensure;
use memchr::memmem;
use rig::callers::{Callers, Load};
use rig::cores::Cores;
use rig::figures::Histogram;
use rig::hub::{Hub, post};
use rig::interrupt;
use rig::process::Process;
use rig::report::Sample;
use serde_json::{Value, json};

/// Calls of a connection before it waits, so that what the connection and the hub hold anyway has grown as far as it does.
const CALLS_BEFORE: usize = 3;
/// The hub's memory is read when it has not shrunk for this long: the allocator gives pages back with a delay.
const STILL: Duration = Duration::from_secs(3);
/// How long that may take, and the wake too.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the hub is watched while everybody waits.
const IDLE: Duration = Duration::from_secs(2);

/// Looks for events a few times, then waits for one.
struct Agent;

impl Load for Agent {
    fn write(&self, out: &mut Vec<u8>, number: usize) {
        let wait_seconds = if number < CALLS_BEFORE { 0 } else { 45 };
        call(out, "wait_events", json!({ "wait_seconds": wait_seconds }));
    }

    fn check(&self, answer: &[u8]) -> anyhow::Result<()> {
        let good = memmem::find(answer, br#""isError":false"#).is_some();
        ensure!(good, "a call has failed: {}", String::from_utf8_lossy(answer));
        Ok(())
    }
}

/// Writes a call of a tool. MCP 2026-07-28.
fn call(out: &mut Vec<u8>, tool: &str, arguments: Value) {
    let version = "2026-07-28";
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": tool,
        "arguments": arguments,
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    }});
    let body = body.to_string();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json\r\n\
         MCP-Protocol-Version: {version}\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\nContent-Length: {}\r\n\r\n",
        body.len(),
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(body.as_bytes());
}

/// Lets `count` agents wait on a hub of their own, and wakes them all with one event.
pub fn measure(program: &str, count: usize, cores: &Cores) -> anyhow::Result<Sample> {
    let directory = tempfile::tempdir()?;
    let hub = Hub::start(program, directory.path(), &[], cores)?;
    let empty = still(&hub)?;
    let mut agents = Callers::open(hub.address, (0..count).map(|_| Agent).collect())?;
    for number in (0..count).cycle().take(count * CALLS_BEFORE) {
        agents.ask(number)?;
        answered(&mut agents)?;
    }
    let idle = still(&hub)?;
    for number in 0..count {
        agents.ask(number)?;
        agents.turn(false)?;
        // A wait is begun when the hub has nothing else to do: here it is to be measured alone.
        std::thread::sleep(Duration::from_millis(1));
    }
    let waiting = still(&hub)?;
    let before = hub.cpu()?;
    std::thread::sleep(IDLE);
    let idle_cpu = hub.cpu()?.since(before).total;
    agents.turn(false)?;
    ensure!(agents.answered == (count * CALLS_BEFORE) as u64, "a wait has ended without an event");

    let (before, woken_by) = (hub.cpu()?, Instant::now());
    let address = hub.address;
    let writer = std::thread::spawn(move || {
        post(address, "/api/tasks", &json!({"title": "Wake everybody"})).map(|_| woken_by.elapsed())
    });
    let mut latency = Histogram::default();
    let mut longest = Duration::ZERO;
    let mut seen = agents.answered;
    while !agents.rest() {
        ensure!(woken_by.elapsed() < PATIENCE, "not everybody was woken within {PATIENCE:?}");
        agents.turn(false)?;
        let now = woken_by.elapsed();
        for _ in seen..agents.answered {
            latency.note(now.as_nanos() as u64);
            longest = now;
        }
        seen = agents.answered;
    }
    let cpu = hub.cpu()?.since(before).total;
    let acknowledged = writer.join().map_err(|_| anyhow::anyhow!("a panic"))??;
    let each = |bytes: u64| bytes as f64 / count as f64 / 1024.0;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(Sample::default()
        .with("KiB/connection", each(idle.saturating_sub(empty)))
        .with("KiB/wait", (waiting as f64 - idle as f64) / count as f64 / 1024.0)
        .with("idle CPU %", idle_cpu.as_secs_f64() / IDLE.as_secs_f64() * 100.0)
        .with("acknowledged ms", ms(acknowledged))
        .with("p50 ms", ms(latency.quantile(0.5)))
        .with("p99 ms", ms(latency.quantile(0.99)))
        .with("longest ms", ms(longest))
        .with("µs/wake", cpu.as_secs_f64() * 1e6 / count as f64))
}

fn answered(agents: &mut Callers<Agent>) -> anyhow::Result<()> {
    let asked = Instant::now();
    while !agents.rest() {
        ensure!(asked.elapsed() < PATIENCE, "no answer within {PATIENCE:?}");
        agents.turn(false)?;
    }
    Ok(())
}

/// The memory of the hub, in bytes, when it has stopped to shrink.
fn still(hub: &Process) -> anyhow::Result<u64> {
    let started = Instant::now();
    let (mut least, mut since) = (u64::MAX, started);
    while since.elapsed() < STILL && started.elapsed() < PATIENCE {
        interrupt::check()?;
        let bytes = hub.private_bytes()?;
        if bytes < least {
            (least, since) = (bytes, Instant::now());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    hub.private_bytes()
}
