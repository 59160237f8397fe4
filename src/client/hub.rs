//! A hub, as its clients see it: an address that answers HTTP.
//!
//! A connection for each request, by hyper, which serves the other side already: there is no pool to keep for two
//! requests, no redirect to follow, and no proxy between a program and its own machine.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig};

use super::trust::{self, Roots};

/// Time for a hub to take a connection, and to begin its answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// Silence after which a connection is as good as gone: a hub's streams say something every 30 seconds.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// Largest answer that is read as a whole.
const ANSWER_BYTES_MAX: usize = 4 << 20;

#[derive(Debug, Error)]
pub enum HubError {
    /// Nobody answers, or nobody any more.
    #[error(
        "cannot reach the hub at {url}: {reason}; start it with `taskhub`, or say where it is with --url"
    )]
    Unreachable { url: String, reason: String },
    /// The hub has answered that it cannot, now.
    #[error("the hub cannot do that now: {0}")]
    Unavailable(String),
    /// The hub has refused.
    #[error("{0}")]
    Refused(String),
    /// Nobody vouches for its certificate.
    #[error(
        "the hub at {url} is not trusted: {reason}; if its certificate is its own or your company's, name the file of \
         that with --ca-cert"
    )]
    Distrusted { url: String, reason: String },
    /// What answers is no hub, or one of another time.
    #[error("what answers at {url} does not speak as a TaskHub does: {reason}")]
    Foreign { url: String, reason: String },
}

/// A token as it goes into a header. Never shown.
#[derive(Clone)]
pub struct Bearer(HeaderValue);

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer")
    }
}

impl FromStr for Bearer {
    type Err = &'static str;

    fn from_str(token: &str) -> Result<Self, Self::Err> {
        let odd = "expected a token as `taskhub token create` has printed it";
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(odd);
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| odd)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

/// Where a hub is, and what to show it.
#[derive(Debug, Clone)]
pub struct Hub {
    /// As it was given, for messages.
    url: String,
    host: String,
    port: u16,
    authority: String,
    /// What comes before `/api`, behind a proxy.
    prefix: String,
    token: Option<Bearer>,
    is_secure: bool,
    /// How TLS is spoken with it, if it is.
    tls: Option<Arc<ClientConfig>>,
}

impl FromStr for Hub {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let odd = || "expected a URL such as http://localhost:8000".to_owned();
        let uri: Uri = text.parse().map_err(|_| odd())?;
        let (is_secure, port) = match uri.scheme_str() {
            Some("http") => (false, 80),
            Some("https") => (true, 443),
            _ => return Err(odd()),
        };
        let authority = uri.authority().filter(|it| !it.as_str().contains('@')).ok_or_else(odd)?;
        if uri.query().is_some() {
            return Err(odd());
        }
        Ok(Self {
            url: text.trim_end_matches('/').to_owned(),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(port),
            authority: authority.to_string(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            token: None,
            is_secure,
            tls: None,
        })
    }
}

/// A body on its way.
#[derive(Debug)]
pub struct Answer {
    hub: Hub,
    body: Incoming,
}

impl Answer {
    /// The next bytes; `None` at a proper end.
    ///
    /// # Errors
    /// [`HubError::Unreachable`] when it breaks off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, HubError> {
        loop {
            let Ok(frame) = timeout(SILENCE_MAX, self.body.frame()).await else {
                return Err(self.hub.unreachable(&"it has fallen silent"));
            };
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
                Some(Err(error)) => return Err(self.hub.unreachable(&error)),
            }
        }
    }

    async fn whole(mut self) -> Result<Vec<u8>, HubError> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.next().await? {
            whole.extend_from_slice(&bytes);
            if whole.len() > ANSWER_BYTES_MAX {
                return Err(self.hub.foreign("its answer does not end"));
            }
        }
        Ok(whole)
    }
}

impl Hub {
    /// The same hub, to be shown a token, and trusted if its certificate leads to one of `roots`.
    pub fn with(self, token: Option<Bearer>, roots: Option<Roots>) -> Self {
        let tls = self.is_secure.then(|| trust::tls(roots));
        Self { token, tls, ..self }
    }

    /// # Errors
    /// [`HubError`]
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, HubError> {
        let answer = self.open(path, "application/json").await?;
        self.parsed(answer).await
    }

    /// # Errors
    /// [`HubError`]
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T, HubError> {
        let answer = self.send(Method::POST, path, "application/json", body.to_string().into()).await?;
        self.parsed(answer).await
    }

    /// Asks for something to be read bit by bit.
    ///
    /// # Errors
    /// [`HubError`]
    pub async fn open(&self, path: &str, accept: &str) -> Result<Answer, HubError> {
        self.send(Method::GET, path, accept, Bytes::new()).await
    }

    /// What was said is not what a hub says.
    pub fn foreign(&self, reason: impl ToString) -> HubError {
        HubError::Foreign { url: self.url.clone(), reason: reason.to_string() }
    }

    fn unreachable(&self, error: &dyn ToString) -> HubError {
        HubError::Unreachable { url: self.url.clone(), reason: error.to_string() }
    }

    async fn parsed<T: DeserializeOwned>(&self, answer: Answer) -> Result<T, HubError> {
        serde_json::from_slice(&answer.whole().await?).map_err(|error| self.foreign(error))
    }

    async fn send(&self, method: Method, path: &str, accept: &str, body: Bytes) -> Result<Answer, HubError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.prefix))
            .header(HOST, &self.authority)
            .header(ACCEPT, accept)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| self.foreign(error))?;
        if let Some(Bearer(token)) = &self.token {
            request.headers_mut().insert(AUTHORIZATION, token.clone());
        }
        let response = match timeout(ANSWER_TIME_MAX, self.exchange(request)).await {
            Ok(response) => response?,
            Err(_) => return Err(self.unreachable(&"it does not answer")),
        };
        let status = response.status();
        let answer = Answer { hub: self.clone(), body: response.into_body() };
        match status.is_success() {
            true => Ok(answer),
            false => Err(self.refusal(status, answer).await),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, HubError> {
        let socket = TcpStream::connect((self.host.as_str(), self.port)).await;
        let socket = socket.map_err(|error| self.unreachable(&error))?;
        match &self.tls {
            None => self.exchange_over(socket, request).await,
            Some(tls) => self.exchange_over(self.secure(socket, tls.clone()).await?, request).await,
        }
    }

    async fn secure(
        &self,
        socket: TcpStream,
        tls: Arc<ClientConfig>,
    ) -> Result<TlsStream<TcpStream>, HubError> {
        let name = ServerName::try_from(self.host.clone()).map_err(|error| self.foreign(error))?;
        let shaken = TlsConnector::from(tls).connect(name, socket).await;
        shaken.map_err(|error| match error.get_ref().and_then(|it| it.downcast_ref::<rustls::Error>()) {
            Some(error @ rustls::Error::InvalidCertificate(_)) => {
                HubError::Distrusted { url: self.url.clone(), reason: error.to_string() }
            }
            Some(error) => self.foreign(error),
            None => self.unreachable(&error),
        })
    }

    async fn exchange_over(
        &self,
        socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, HubError> {
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(socket)).await.map_err(|error| self.unreachable(&error))?;
        // It ends with its answer; what it fails of, the answer says.
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| self.unreachable(&error))
    }

    /// The detail of a problem, in the hub's own words.
    async fn refusal(&self, status: StatusCode, answer: Answer) -> HubError {
        #[derive(Deserialize)]
        struct Problem {
            detail: String,
        }
        let body = answer.whole().await.unwrap_or_default();
        let detail = serde_json::from_slice(&body).map(|problem: Problem| problem.detail);
        match (status.is_server_error(), detail) {
            (true, detail) => HubError::Unavailable(detail.unwrap_or_else(|_| status.to_string())),
            (false, Ok(detail)) => HubError::Refused(detail),
            (false, Err(_)) => self.foreign(status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_named_by_its_url() {
        let hub: Hub = "http://localhost:8000".parse().expect("a URL");
        assert_eq!((hub.host.as_str(), hub.port, hub.prefix.as_str()), ("localhost", 8000, ""));
        let hub: Hub = "http://[::1]/hub/".parse().expect("a URL");
        assert_eq!((hub.host.as_str(), hub.port, hub.prefix.as_str()), ("::1", 80, "/hub"));
        assert_eq!(hub.authority, "[::1]");
        let hub: Hub = "https://hub.example".parse().expect("a URL");
        assert_eq!((hub.port, hub.is_secure), (443, true));
        for odd in ["", "localhost:8000", "https://", "ftp://a", "http://a/?b", "http://u:p@a", "/"] {
            assert!(odd.parse::<Hub>().is_err(), "{odd}");
        }
    }
}
