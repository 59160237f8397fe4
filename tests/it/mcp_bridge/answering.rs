//! A server that answers each POST as it is told, and keeps the heads of the requests. For what no hub answers at will.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Status, media type and body.
type Reply = (&'static str, &'static str, String);

pub struct Answering {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl Answering {
    /// The reply is made of the body of the request.
    pub async fn start(reply: impl Fn(Value) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let noted = heads.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                serve(socket, &noted, &reply).await;
            }
        });
        Self { address, heads, accepting }
    }

    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no panic").clone()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Answers one request, and closes the connection.
async fn serve(mut socket: TcpStream, heads: &Mutex<Vec<String>>, reply: impl Fn(Value) -> Reply) {
    let mut read = Vec::new();
    let (head, body) = loop {
        socket.read_buf(&mut read).await.expect("a request");
        let text = std::str::from_utf8(&read).expect("UTF-8");
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        if body.len() == length.parse::<usize>().expect("a number") {
            break (format!("{head}\r\n"), body.to_owned());
        }
    };
    heads.lock().expect("no panic").push(head);
    let (status, media_type, text) = reply(serde_json::from_str(&body).expect("JSON"));
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    socket.write_all(answer.as_bytes()).await.expect("it reads");
}
