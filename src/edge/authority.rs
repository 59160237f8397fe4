//! Parses hosts and origins completely. A check of only the beginning of a host would accept
//! `localhost.attacker.example`.

use std::net::{IpAddr, Ipv6Addr};

/// A host and a port, as in a `Host` header (RFC 9110, section 7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// In lower case, without brackets and without the dot that may end a full name.
    pub host: String,
    /// `None` when it is the scheme's default.
    pub port: Option<u16>,
}

/// The protocol of a page or a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl Authority {
    /// `None` for anything but a host with an optional port: no user, no path, no port above 65535.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                (address.parse::<Ipv6Addr>().ok()?.to_string(), port)
            }
            None => {
                let end = text.find(':').unwrap_or(text.len());
                (name(&text[..end])?, &text[end..])
            }
        };
        let port = match port.strip_prefix(':') {
            // A colon alone is allowed (RFC 3986, section 3.2.3).
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok().filter(|port| *port != 0)?)
            }
            None if port.is_empty() => None,
            _ => return None,
        };
        Some(Self { host, port })
    }

    /// Whether the host is an IP address. DNS rebinding cannot change an address.
    pub fn is_address(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }

    /// The port, or the default of this scheme.
    pub fn port_with(&self, scheme: Scheme) -> u16 {
        self.port.unwrap_or(scheme.port())
    }
}

/// A DNS name or an IPv4 address.
fn name(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    name.split('.').all(is_label).then(|| name.to_ascii_lowercase())
}

/// The scheme, host and port of a page, from a browser's `Origin` header (RFC 6454, section 7).
pub fn origin(text: &str) -> Option<(Scheme, Authority)> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return None,
    };
    Some((scheme, Authority::parse(rest)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_read_to_its_end() {
        for (text, host, port) in [
            ("localhost", "localhost", None),
            ("LOCALHOST.:8000", "localhost", Some(8000)),
            ("hub.example:", "hub.example", None),
            ("127.0.0.1:80", "127.0.0.1", Some(80)),
            ("[::1]", "::1", None),
            ("[0:0::1]:8000", "::1", Some(8000)),
        ] {
            assert_eq!(Authority::parse(text), Some(Authority { host: host.into(), port }), "{text}");
        }
        for odd in [
            "",
            ":80",
            ".",
            "localhost..",
            ".localhost",
            "a..b",
            "evil@localhost",
            "localhost:abc",
            "localhost:+80",
            "localhost:0",
            "localhost:99999",
            "localhost:80evil.example",
            "localhost:80:80",
            "localhost/",
            "local host",
            "[::1].evil.example",
            "[::1]evil",
            "[::1",
            "::1",
            "[localhost]",
            "[::1%25eth0]",
            "lócalhost",
        ] {
            assert_eq!(Authority::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn an_origin_is_a_scheme_and_an_authority() {
        let (scheme, authority) = origin("https://hub.example").expect("an origin");
        assert_eq!((scheme, authority.port_with(scheme)), (Scheme::Https, 443));
        for odd in ["null", "hub.example", "ftp://hub.example", "http://hub.example/", "HTTP://hub.example"] {
            assert_eq!(origin(odd), None, "{odd}");
        }
    }
}
