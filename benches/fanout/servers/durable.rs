//! The server of the crate `durable-streams`, as durable as it is by itself: an answer after fdatasync.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;

use anyhow::ensure;
use rig::cores::Cores;
use rig::process::Process;

use super::{Server, await_listening, free_address};
use rig::listener::Ids;
use rig::marker::Marker;
use rig::publisher::{Way, request};

fn program() -> PathBuf {
    // Where benches/rivals/install puts it.
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/rivals/bin/durable-streams-server"))
}

pub fn missing() -> Option<String> {
    (!program().exists()).then(|| "not installed: benches/rivals/install".to_owned())
}

pub fn start(cores: &Cores) -> anyhow::Result<Server> {
    let directory = tempfile::tempdir()?;
    let address = free_address()?;
    let mut command = Command::new(program());
    command.arg("--port").arg(address.port().to_string()).arg("--data-dir").arg(directory.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut process = Process::start(&mut command, cores)?;
    await_listening(&mut process, address)?;
    create(address)?;
    // An array is as many events as it has elements.
    let write = |out: &mut Vec<u8>, markers: &[Marker]| {
        let envelopes: Vec<_> = markers.iter().map(|marker| marker.envelope()).collect();
        request(out, "POST", "/events", &format!("[{}]", envelopes.join(",")));
    };
    Ok(Server {
        process,
        address,
        stream: "/events?offset=now&live=sse".to_owned(),
        ids: Ids::MarksWithGaps,
        way: Way { lanes: 1, batches: true, write: Rc::new(write) },
        questions: vec![],
        directory: Some(directory),
    })
}

fn create(address: std::net::SocketAddr) -> anyhow::Result<()> {
    let mut socket = TcpStream::connect(address)?;
    let request = "PUT /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                   Content-Length: 0\r\n\r\n";
    socket.write_all(request.as_bytes())?;
    let mut beginning = [0; 12];
    socket.read_exact(&mut beginning)?;
    ensure!(beginning.starts_with(b"HTTP/1.1 2"), "no stream could be made");
    Ok(())
}
