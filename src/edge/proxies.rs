//! Finds the address that a request comes from: the peer of its connection or, when the peer is a
//! trusted proxy, the client that the proxy names.
//!
//! Any client can write these headers, so each entry counts only if the hop that added it is
//! trusted. This module reads a header from its end. The first address that is not a trusted proxy
//! is the client's. It reads only the header that the operator has named, because a proxy forwards
//! the other one as the client sent it.

use std::net::IpAddr;

use ipnet::IpNet;
use poem::{Request, http::header};

use crate::config::ForwardedHeader;

/// The proxies to trust, and the header that they write.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    pub trusted: Vec<IpNet>,
    pub header: ForwardedHeader,
}

impl Proxies {
    /// The address that a request comes from, if it is known.
    pub fn client_of(&self, request: &Request) -> Option<IpAddr> {
        let peer = request.remote_addr().as_socket_addr().map(|address| address.ip().to_canonical());
        peer.map(|peer| self.behind(peer, request))
    }

    fn behind(&self, peer: IpAddr, request: &Request) -> IpAddr {
        let mut client = peer;
        if !self.trusts(client) {
            return client;
        }
        let name = match self.header {
            ForwardedHeader::XForwardedFor => "x-forwarded-for",
            ForwardedHeader::Forwarded => header::FORWARDED.as_str(),
        };
        let lines = request.headers().get_all(name).iter();
        // A line that is not ASCII holds no address, and ends the search.
        let hops: Vec<&str> = lines.flat_map(|line| line.to_str().unwrap_or("?").split(',')).collect();
        for hop in hops.into_iter().rev() {
            let address = match self.header {
                ForwardedHeader::XForwardedFor => address(hop.trim()),
                ForwardedHeader::Forwarded => forwarded_for(hop),
            };
            // The proxy did not name an address: nothing before this entry can be trusted.
            let Some(address) = address else {
                break;
            };
            client = address;
            if !self.trusts(client) {
                break;
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }
}

/// `203.0.113.7`, `203.0.113.7:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => match text.split_once(':') {
            Some((v4, port)) if !port.contains(':') => v4,
            _ => text,
        },
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// The `for` of one element of `Forwarded`. RFC 7239, section 4. Commas inside quotes are not
/// supported; no address has one.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    address(value.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], header: ForwardedHeader, lines: &[(&str, &str)]) -> String {
        let trusted = trusted.iter().map(|it| it.parse().expect("a network")).collect();
        let mut request = Request::builder();
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let peer = "10.0.0.1".parse().expect("an address");
        Proxies { trusted, header }.behind(peer, &request.finish()).to_string()
    }

    #[test]
    fn a_header_counts_as_far_as_those_who_wrote_it_are_trusted() {
        let by = |lines: &[&str], trusted: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
            client(trusted, ForwardedHeader::XForwardedFor, &lines)
        };
        let own = &["10.0.0.0/8"][..];
        assert_eq!(by(&["203.0.113.7"], &[]), "10.0.0.1", "nobody is trusted");
        assert_eq!(by(&["203.0.113.7"], &["10.0.0.2/32"]), "10.0.0.1", "somebody else is");
        assert_eq!(by(&[], own), "10.0.0.1");
        assert_eq!(by(&["203.0.113.7"], own), "203.0.113.7");
        assert_eq!(
            by(&["1.1.1.1, 203.0.113.7, 10.0.0.9"], own),
            "203.0.113.7",
            "what a client wrote is not read"
        );
        assert_eq!(by(&["1.1.1.1", "203.0.113.7"], own), "203.0.113.7", "lines are one list");
        assert_eq!(by(&["unknown, 10.0.0.9"], own), "10.0.0.9");
        assert_eq!(by(&["10.0.0.8, 10.0.0.9"], own), "10.0.0.8");
        assert_eq!(by(&["[2001:db8::1]:99"], own), "2001:db8::1");
        assert_eq!(by(&["::ffff:203.0.113.7"], own), "203.0.113.7");
        for odd in ["", ",", "x", "[", "[::1", "1.1.1.1.1", "203.0.113.7:80:80"] {
            assert_eq!(by(&[odd], own), "10.0.0.1", "{odd}");
        }
    }

    #[test]
    fn only_the_header_that_was_named_is_read() {
        let lines = [
            ("forwarded", "for=1.1.1.1;proto=http, For=\"[2001:db8::7]:1\";by=10.0.0.1"),
            ("x-forwarded-for", "203.0.113.7"),
        ];
        let own = &["10.0.0.0/8"][..];
        assert_eq!(client(own, ForwardedHeader::Forwarded, &lines), "2001:db8::7");
        assert_eq!(client(own, ForwardedHeader::XForwardedFor, &lines), "203.0.113.7");
        assert_eq!(client(own, ForwardedHeader::Forwarded, &lines[1..]), "10.0.0.1");
    }
}
