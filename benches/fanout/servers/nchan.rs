//! nginx with nchan, Debian's `libnginx-mod-nchan`: one process, messages in memory.

use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;

use rig::cores::Cores;
use rig::process::Process;

use super::{Server, await_listening, free_address};
use rig::listener::Ids;
use rig::marker::Marker;
use rig::publisher::{Way, request};

const PROGRAM: &str = "/usr/sbin/nginx";
const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

pub fn missing() -> Option<String> {
    let there = [PROGRAM, MODULE].iter().all(|file| Path::new(file).exists());
    (!there).then(|| "not installed: benches/rivals/install".to_owned())
}

pub fn start(cores: &Cores) -> anyhow::Result<Server> {
    let directory = tempfile::tempdir()?;
    let (address, home) = (free_address()?, directory.path().display());
    let config = format!(
        "load_module {MODULE};
         daemon off; master_process off; worker_rlimit_nofile 60000;
         pid {home}/pid; error_log stderr crit;
         events {{ worker_connections 60000; }}
         http {{
           access_log off; tcp_nodelay on; keepalive_requests 1000000000;
           client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
           uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
           nchan_max_reserved_memory 256M;
           server {{
             listen {address} backlog=4096;
             location = /publish {{
               nchan_publisher; nchan_channel_id a; nchan_message_buffer_length 20000; nchan_message_timeout 10m;
             }}
             location = /stream {{
               nchan_subscriber eventsource; nchan_channel_id a; nchan_subscriber_first_message newest;
             }}
             location = /ping {{ return 200 ok; }}
           }}
         }}"
    );
    let file = directory.path().join("nginx.conf");
    std::fs::write(&file, config)?;
    let mut command = Command::new(PROGRAM);
    command
        .arg("-e")
        .arg("stderr")
        .arg("-p")
        .arg(directory.path())
        .arg("-c")
        .arg(file)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let mut process = Process::start(&mut command, cores)?;
    await_listening(&mut process, address)?;
    // It keeps what an `id:` says to itself: marks tell what is missing.
    let write =
        |out: &mut Vec<u8>, markers: &[Marker]| request(out, "POST", "/publish", &markers[0].envelope());
    Ok(Server {
        process,
        address,
        stream: "/stream".to_owned(),
        ids: Ids::MarksWithGaps,
        way: Way { lanes: 1, batches: false, write: Rc::new(write) },
        questions: vec!["/ping".to_owned()],
        directory: Some(directory),
    })
}
