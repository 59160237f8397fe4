//! TLS: what is shown, what is refused, and a certificate that is renewed while the hub runs.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::harness::{Answered, BINARY, Client, DEADLINE, Hub, HubProcess};
use crate::sse::Stream;
use crate::wire::{CERTIFICATE, Files, Wire, pair, trusting, trusting_only};

/// A handshake in which the client speaks `protocols`.
pub async fn shake(client: &Client, protocols: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
    shake_by(client, trusting(protocols)).await
}

async fn shake_by(
    client: &Client,
    config: tokio_rustls::rustls::ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(client.address).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    let shaking = TlsConnector::from(Arc::new(config)).connect(name, socket);
    tokio::time::timeout(DEADLINE, shaking).await.expect("in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn both_protocols_are_agreed_on_and_nothing_else_is_spoken() {
    let hub = Wire::Tls2.hub(&[]).await;
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
        (&["http/1.1", "h2"], Some(b"h2")),
        (&["http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let socket = shake(&hub.client, offered).await.expect("a handshake");
        assert_eq!(socket.get_ref().1.alpn_protocol(), agreed, "{offered:?}");
    }
    assert!(shake(&hub.client, &["spdy/3"]).await.is_err());

    let over_tls_1 = Client::over(Wire::Tls1, hub.client.address);
    for client in [&hub.client, &over_tls_1] {
        let version = client.http.get(client.url("/health")).answered().await.version();
        let expected = if std::ptr::eq(client, &over_tls_1) { "HTTP/1.1" } else { "HTTP/2.0" };
        assert_eq!(format!("{version:?}"), expected);
        assert_eq!(client.create(json!({ "title": "over TLS" })).await.len(), 36);
    }
    // The hub's own pages come from an https origin.
    let own = format!("https://{}", hub.client.address);
    let request = hub.client.request(reqwest::Method::POST, "/api/tasks").header("origin", own);
    assert_eq!(hub.client.send(request.json(&json!({ "title": "t" }))).await.status, 201);

    // Without TLS there is nothing.
    let mut socket = TcpStream::connect(hub.client.address).await.expect("it connects");
    socket.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it is sent");
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(DEADLINE, socket.read_to_end(&mut answer)).await.expect("it is closed");
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_shown_and_a_bad_one_is_not() {
    let files = Files::new();
    let (cert, key) = (files.cert(), files.key());
    let hub = Hub::with(&["--tls-cert", &cert, "--tls-key", &key]).await;
    let shows = async |pair: &rcgen::CertifiedKey<rcgen::KeyPair>| {
        shake_by(&hub.client, trusting_only(pair, &["http/1.1"])).await.is_ok()
    };
    assert!(shows(&files.pair).await);
    let mut before =
        shake_by(&hub.client, trusting_only(&files.pair, &["http/1.1"])).await.expect("a handshake");

    let renewed = pair();
    assert!(!shows(&renewed).await);
    files.write(&renewed);
    let until_shown = async {
        while !shows(&renewed).await {
            tokio::time::sleep(Duration::from_millis(100)).await
        }
    };
    tokio::time::timeout(DEADLINE, until_shown).await.expect("it is noticed");

    // A connection that was there goes on.
    before.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it is sent");
    let mut first = [0; 12];
    before.read_exact(&mut first).await.expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200");

    // One that does not fit its key, none at all, and then a good one.
    std::fs::write(&cert, pair().cert.pem()).expect("written");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(shows(&renewed).await, "the one before is kept");
    std::fs::remove_file(&cert).expect("removed");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(shows(&renewed).await, "the one before is kept");
    let last = pair();
    files.write(&last);
    let until_shown = async {
        while !shows(&last).await {
            tokio::time::sleep(Duration::from_millis(100)).await
        }
    };
    tokio::time::timeout(DEADLINE, until_shown).await.expect("it is noticed");
}

#[test]
fn files_that_are_no_certificate_and_key_are_refused_at_the_start() {
    let files = Files::new();
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
    std::fs::write(path("text"), "no certificate").expect("written");
    std::fs::write(path("other.pem"), pair().signing_key.serialize_pem()).expect("written");
    let (cert, key) = (files.cert(), files.key());
    for (flags, words) in [
        (vec!["--tls-cert", &cert], "--tls-key"),
        (vec!["--tls-key", &key], "--tls-cert"),
        (vec!["--tls-cert", &path("nowhere"), "--tls-key", &key], "cannot read"),
        (vec!["--tls-cert", &path("text"), "--tls-key", &key], "holds no certificate in PEM form"),
        (vec!["--tls-cert", &key, "--tls-key", &key], "holds no certificate in PEM form"),
        (vec!["--tls-cert", &cert, "--tls-key", &path("text")], "holds no private key in PEM form"),
        (vec!["--tls-cert", &cert, "--tls-key", &path("other.pem")], "are they a pair?"),
    ] {
        let mut child = Command::new(BINARY)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir", &path("data")])
            .args(&flags)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut said = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut said).expect("UTF-8");
        assert!(!child.wait().expect("it ends").success(), "{flags:?}");
        assert!(said.contains(words), "{flags:?}: {said}");
    }
    assert!(!directory.path().join("data").exists(), "nothing was touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_speak_tls_with_a_hub_they_trust() {
    let directory = tempfile::tempdir().expect("a directory");
    let hub = HubProcess::start(directory.path(), &CERTIFICATE.flags()).await;
    let client = Client::over(Wire::Tls2, hub.client.address);
    let script = "echo $TASKHUB_URL";
    let id = client.create(json!({ "title": "t", "script": script })).await;
    let url = format!("https://{}", client.address);
    let run = |arguments: Vec<String>| {
        let mut command = tokio::process::Command::new(BINARY);
        command.args(["exec", &id, "--follow", "--url"]).args(arguments).stdin(Stdio::null());
        async move { tokio::time::timeout(DEADLINE, command.output()).await.expect("in time").expect("it runs") }
    };
    let trusted = run(vec![url.clone(), "--ca-cert".to_owned(), CERTIFICATE.cert()]).await;
    let said = String::from_utf8_lossy(&trusted.stderr).into_owned();
    assert_eq!(trusted.status.code(), Some(0), "{said}");
    let expected = format!("https://localhost:{}\n", client.address.port());
    assert_eq!(String::from_utf8_lossy(&trusted.stdout), expected, "what scripts are told");

    let other = Files::new();
    for (arguments, words) in [
        (vec![url.clone()], "is not trusted"),
        (vec![url.clone(), "--ca-cert".to_owned(), other.cert()], "name the file of that with --ca-cert"),
        (vec![url.clone(), "--ca-cert".to_owned(), "/nowhere".to_owned()], "cannot be read"),
        (vec![url.replace("https", "http")], "cannot reach the hub"),
    ] {
        let refused = run(arguments.clone()).await;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(words), "{arguments:?}: {said}");
    }
    let executions: Vec<Value> = client.get("/api/executions").await.body.as_array().expect("a list").clone();
    assert_eq!(executions.len(), 1, "nobody else was heard");

    let mut stream = Stream::open(&client, "").await;
    assert_eq!(hub.terminate().await, Some(0));
    let rest = stream.rest().await;
    assert_eq!(rest.last().expect("a goodbye")["event"], "goodbye");
}
