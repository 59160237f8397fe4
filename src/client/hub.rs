//! The HTTP client of the commands.
//!
//! It opens one connection for each request, by hyper, which the hub uses already. So there is no
//! connection pool for two requests, no redirect to follow, and no proxy between a program and its
//! own machine.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::http::response::Parts;
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

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// How long a hub may take to accept a connection and begin its answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// After this much silence a connection counts as dead: a hub's streams send something every 30
/// seconds.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// The largest answer that is read into memory.
const ANSWER_BYTES_MAX: usize = 4 << 20;

#[derive(Debug, Error)]
pub enum HubError {
    /// No hub answers, or the connection is lost.
    #[error(
        "cannot reach the hub at {url}: {reason}; start it with `taskhub`, or say where it is with --url"
    )]
    Unreachable { url: String, reason: String },
    /// The hub answered that it cannot do this now.
    #[error("the hub cannot do that now: {0}")]
    Unavailable(String),
    /// The hub has refused.
    #[error("{0}")]
    Refused(String),
    /// The hub's certificate is not trusted.
    #[error(
        "the hub at {url} is not trusted: {reason}; if its certificate is its own or your company's, name the file of \
         that with --ca-cert"
    )]
    Distrusted { url: String, reason: String },
    /// The other side is not a hub, or an incompatible version.
    #[error("what answers at {url} does not speak as a TaskHub does: {reason}")]
    Foreign { url: String, reason: String },
}

impl HubError {
    /// Whether a later attempt may succeed: the hub cannot be reached or is failing, and has not refused.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Unavailable(_) => true,
            Self::Refused(_) | Self::Distrusted { .. } | Self::Foreign { .. } => false,
        }
    }
}

/// A token as a header value. `Debug` never shows it.
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

/// The address of a hub, and the credentials for it.
#[derive(Debug, Clone)]
pub struct Hub {
    /// The URL as the user gave it, for messages.
    url: String,
    host: String,
    port: u16,
    authority: String,
    /// The path before `/api`, when a proxy adds one.
    prefix: String,
    token: Option<Bearer>,
    is_secure: bool,
    /// The TLS settings, if the hub uses TLS.
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

/// The body of an answer, read piece by piece.
#[derive(Debug)]
pub struct Answer {
    hub: Hub,
    body: Incoming,
}

impl Answer {
    /// The next bytes; `None` at the end of a complete body.
    ///
    /// # Errors
    /// [`HubError::Unreachable`] when the connection breaks off.
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

    /// All of a body that has an end.
    ///
    /// # Errors
    /// [`HubError::Unreachable`], [`HubError::Foreign`]
    pub async fn whole(mut self) -> Result<Vec<u8>, HubError> {
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
    /// The same hub with a token. Its certificate must lead to one of `roots`, if they are given.
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
        let request = self.request(Method::POST, path, "application/json", body.to_string().into())?;
        let answer = self.send(request).await?;
        self.parsed(answer).await
    }

    /// The same with an `Idempotency-Key`: sent again, it has no second effect.
    ///
    /// # Errors
    /// [`HubError`]
    pub async fn post_once<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
        key: &str,
    ) -> Result<T, HubError> {
        let mut request = self.request(Method::POST, path, "application/json", body.to_string().into())?;
        let key = HeaderValue::from_str(key).map_err(|error| self.foreign(error))?;
        request.headers_mut().insert(IDEMPOTENCY_KEY, key);
        let answer = self.send(request).await?;
        self.parsed(answer).await
    }

    /// Requests an answer that is read piece by piece.
    ///
    /// # Errors
    /// [`HubError`]
    pub async fn open(&self, path: &str, accept: &str) -> Result<Answer, HubError> {
        self.send(self.request(Method::GET, path, accept, Bytes::new())?).await
    }

    /// Sends a body with headers of its own. Answers what the hub answers, also a refusal: the head, and the body to read.
    ///
    /// # Errors
    /// [`HubError`], but never [`HubError::Refused`] or [`HubError::Unavailable`]
    ///
    /// # Cancel safety
    /// Closes the connection, also while the answer is read.
    pub async fn post_as_is(
        &self,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
        answer_time_max: Duration,
    ) -> Result<(Parts, Answer), HubError> {
        let mut request = self.request(Method::POST, path, "*/*", body)?;
        request.headers_mut().extend(headers);
        self.answer(request, answer_time_max).await
    }

    /// The URL as the user gave it.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// The error for an answer that a hub would not give.
    pub fn foreign(&self, reason: impl ToString) -> HubError {
        HubError::Foreign { url: self.url.clone(), reason: reason.to_string() }
    }

    fn unreachable(&self, error: &dyn ToString) -> HubError {
        HubError::Unreachable { url: self.url.clone(), reason: error.to_string() }
    }

    async fn parsed<T: DeserializeOwned>(&self, answer: Answer) -> Result<T, HubError> {
        serde_json::from_slice(&answer.whole().await?).map_err(|error| self.foreign(error))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, HubError> {
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
        Ok(request)
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, HubError> {
        let (head, answer) = self.answer(request, ANSWER_TIME_MAX).await?;
        match head.status.is_success() {
            true => Ok(answer),
            false => Err(self.refusal(head.status, answer).await),
        }
    }

    async fn answer(
        &self,
        request: Request<Full<Bytes>>,
        time_max: Duration,
    ) -> Result<(Parts, Answer), HubError> {
        let (head, body) = match timeout(time_max, self.exchange(request)).await {
            Ok(response) => response?.into_parts(),
            Err(_) => return Err(self.unreachable(&"it does not answer")),
        };
        Ok((head, Answer { hub: self.clone(), body }))
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
        // It ends with the answer; the answer reports its errors.
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| self.unreachable(&error))
    }

    /// The error for a failed request, with the hub's own detail.
    async fn refusal(&self, status: StatusCode, answer: Answer) -> HubError {
        #[derive(Deserialize)]
        struct Problem {
            detail: String,
        }
        let body = answer.whole().await.unwrap_or_default();
        let detail = serde_json::from_slice(&body).map(|problem: Problem| problem.detail);
        let may_pass = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        match (may_pass, detail) {
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
