//! The settings of what clients reach: addresses, certificates, who is let in, and limits.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use ipnet::IpNet;

const DEFAULT_PORT: u16 = 8000;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerConfig {
    /// Address to listen on; repeat, or separate by commas, for several (default: `--host` and `--port`)
    #[arg(long, env = "TASKHUB_LISTEN", value_delimiter = ',', value_name = "ADDRESS:PORT",
          value_parser = address)]
    pub listen: Vec<SocketAddr>,
    /// Address to listen on, without its port: `localhost` (IPv4 and IPv6) or an IP address; `--listen` comes before it
    #[arg(long, env = "TASKHUB_HOST", default_value = "localhost", value_name = "ADDRESS")]
    pub host: Host,
    /// Port to listen on; `--listen` comes before it
    #[arg(long, env = "TASKHUB_PORT", default_value_t = DEFAULT_PORT, value_name = "PORT",
          value_parser = port)]
    pub port: u16,
    /// File with the certificate to show, and those that lead to its root, in PEM form: the hub then speaks HTTPS alone;
    /// read again when it changes
    #[arg(long, env = "TASKHUB_TLS_CERT", requires = "tls_key", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// File with the key of the certificate, in PEM form
    #[arg(long, env = "TASKHUB_TLS_KEY", requires = "tls_cert", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Name that clients may use in the Host header, besides the loopback names and the listen addresses
    #[arg(long, env = "TASKHUB_ALLOW_HOST", value_delimiter = ',', value_name = "HOST")]
    pub allow_host: Vec<String>,
    /// Origin whose pages may use this hub as its own do, such as `https://app.example`, or `null`; repeat, or separate
    /// by commas, for several
    #[arg(long, env = "TASKHUB_ALLOW_ORIGIN", value_delimiter = ',', value_name = "ORIGIN")]
    pub allow_origin: Vec<Origin>,
    /// Network of a proxy that may say whom it speaks for, such as `10.0.0.0/8` or `127.0.0.1`; repeat, or separate by
    /// commas, for several
    #[arg(long, env = "TASKHUB_TRUSTED_PROXY", value_delimiter = ',', value_name = "CIDR", value_parser = network)]
    pub trusted_proxy: Vec<IpNet>,
    /// The header in which trusted proxies say it
    #[arg(long, env = "TASKHUB_FORWARDED_HEADER", value_enum, default_value_t)]
    pub forwarded_header: ForwardedHeader,
    /// Ask for a token even before there is one (without it: as soon as `taskhub token create` has made the first)
    #[arg(long, env = "TASKHUB_REQUIRE_AUTH", conflicts_with = "insecure_no_auth")]
    pub require_auth: bool,
    /// Ask nobody for a token, although there are some or others can reach this hub: all who can may run scripts here
    #[arg(long, env = "TASKHUB_INSECURE_NO_AUTH")]
    pub insecure_no_auth: bool,
    /// Which tools agents see at `/mcp`: `agent`, or `classic` for those of the first system
    #[arg(long, env = "TASKHUB_MCP_PROFILE", value_enum, default_value_t)]
    pub mcp_profile: McpProfile,
    /// Largest request body
    #[arg(long, env = "TASKHUB_BODY_BYTES_MAX", default_value_t = 1_572_864, value_name = "BYTES",
          value_parser = clap::value_parser!(u32).range(1024..=1_073_741_824))]
    pub body_bytes_max: u32,
    /// Largest sum of all request bodies being read at once
    #[arg(long, env = "TASKHUB_BODIES_BYTES_MAX", default_value_t = 67_108_864, value_name = "BYTES",
          value_parser = clap::value_parser!(u32).range(1024..=1_073_741_824))]
    pub bodies_bytes_max: u32,
    /// Largest sum of all answers that were asked for and are not read yet; each client may have a quarter of it
    #[arg(long, env = "TASKHUB_ANSWERS_BYTES_MAX", default_value_t = 268_435_456, value_name = "BYTES",
          value_parser = clap::value_parser!(u32).range(65_536..=1_073_741_824))]
    pub answers_bytes_max: u32,
    /// Requests that each token, or each address where no token is asked for, may send in a second (default: any number)
    #[arg(long, env = "TASKHUB_RATE_LIMIT", value_name = "COUNT")]
    pub rate_limit: Option<NonZeroU32>,
    /// Streams, of events and of logs, that each of them may have open at once
    #[arg(long, env = "TASKHUB_STREAMS_PER_CLIENT_MAX", default_value_t = 20_000, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub streams_per_client_max: u32,
    /// Time for a client to send a request's head, and again for its body; and for a connection to go without a request
    #[arg(long, env = "TASKHUB_REQUEST_SECONDS_MAX", default_value_t = 15, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub request_seconds_max: u64,
    /// Most connections at once (fewer when the limit on open files leaves no room for them)
    #[arg(long, env = "TASKHUB_CONNECTIONS_MAX", default_value_t = 50_000, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections_max: u32,
    /// Most connections of one address at once; a trusted proxy may have all (default: 20,000, three quarters of all at
    /// most, and for this machine itself all)
    #[arg(long, env = "TASKHUB_CONNECTIONS_PER_ADDRESS_MAX", value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections_per_address_max: Option<u32>,
    /// Time for streams and requests to end at shutdown before they are cut
    #[arg(long, env = "TASKHUB_SHUTDOWN_SECONDS_MAX", default_value_t = 8, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=600))]
    pub shutdown_seconds_max: u64,
}

/// Where proxies say whom they speak for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ForwardedHeader {
    #[default]
    XForwardedFor,
    /// RFC 7239
    Forwarded,
}

/// Which tools agents see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum McpProfile {
    /// Few tools, with small answers
    #[default]
    Agent,
    /// The tools of the first system, by their names
    Classic,
}

fn network(text: &str) -> Result<IpNet, String> {
    let alone = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse()
        .or_else(|_| alone())
        .map_err(|_| "expected an address or a network, such as 127.0.0.1 or 10.0.0.0/8".to_owned())
}

/// An origin as browsers write it: scheme, host, and the port unless it is the scheme's default; or
/// `null`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let odd = "expected one origin as a browser writes it, such as https://app.example or http://localhost:3000, \
                   or null";
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._:[]".contains(c);
        let is_origin = text.split_once("://").is_some_and(|(scheme, authority)| {
            ["http", "https"].contains(&scheme) && !authority.is_empty() && authority.chars().all(is_plain)
        });
        let own_port = [("http://", ":80"), ("https://", ":443")];
        if own_port.iter().any(|(scheme, port)| text.starts_with(scheme) && text.ends_with(port)) {
            return Err("leave the port out when it is the scheme's own, as browsers do");
        }
        if is_origin || text == "null" { Ok(Self(text.to_owned())) } else { Err(odd) }
    }
}

/// The host part of the address to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// 127.0.0.1, and ::1 on a machine with IPv6.
    Localhost,
    Address(IpAddr),
}

impl FromStr for Host {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim_start_matches('[').trim_end_matches(']').parse() {
            Ok(ip) => Ok(Self::Address(ip)),
            Err(_) if text == "localhost" => Ok(Self::Localhost),
            Err(_) => Err("expected localhost or an IP address, such as 127.0.0.1"),
        }
    }
}

/// In a Kubernetes cluster with a service called `taskhub`, Kubernetes sets `TASKHUB_PORT` to that
/// service's address (`tcp://10.0.0.1:80`). The hub ignores such a value.
fn port(text: &str) -> Result<u16, String> {
    match text.strip_prefix("tcp://") {
        Some(_) => Ok(DEFAULT_PORT),
        None => text.parse().map_err(|_| "expected a number from 0 to 65535".to_owned()),
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "expected an address and a port, such as 127.0.0.1:8000 or [::1]:8000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_this_machine_or_an_address() {
        assert_eq!("localhost".parse(), Ok(Host::Localhost));
        for ip in ["0.0.0.0", "::1", "[::1]"] {
            assert!(matches!(ip.parse(), Ok(Host::Address(_))), "{ip}");
        }
        assert_eq!((port("81"), port("tcp://10.0.0.1:80")), (Ok(81), Ok(DEFAULT_PORT)));
        assert!("example.org".parse::<Host>().is_err() && "127.0.0.1:8000".parse::<Host>().is_err());
    }

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for origin in ["https://app.example", "http://localhost:3000", "http://[::1]:8080", "null"] {
            assert!(origin.parse::<Origin>().is_ok(), "{origin}");
        }
        for odd in [
            "*",
            "",
            "app.example",
            "https://",
            "https://A.example",
            "https://a/",
            "https://a:443",
            "ftp://a",
        ] {
            assert!(odd.parse::<Origin>().is_err(), "{odd}");
        }
    }
}
