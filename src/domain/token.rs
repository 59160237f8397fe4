//! Tokens: what a caller may do, and in whose name the hub makes a change.
//!
//! Only the holder knows a token's secret. The hub keeps its SHA-256.

use std::net::{IpAddr, Ipv6Addr};

use super::allowed_projects::AllowedProjects;
use super::clock::Timestamp;
use super::schema::word_enum;
use super::text::TokenName;

word_enum! {
    /// What a token allows; each includes those before it.
    ///
    /// - `read`: see everything
    /// - `write`: change tasks, and announce
    /// - `exec`: run scripts and stop them, and change what will run
    Scope {
        Read = "read",
        Write = "write",
        Exec = "exec",
    }
}

impl Scope {
    /// This scope and the scopes that it includes, such as `read,write`.
    pub fn words(self) -> String {
        let included = Self::ALL.iter().filter(|scope| **scope <= self);
        included.map(|scope| scope.word()).collect::<Vec<_>>().join(",")
    }
}

/// SHA-256 of a token's secret.
pub type TokenDigest = [u8; 32];

/// A token as the hub keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub name: TokenName,
    pub digest: TokenDigest,
    pub scope: Scope,
    /// What it is bound to.
    pub projects: AllowedProjects,
    pub created_at: Timestamp,
    /// The hub refuses the token from this time on.
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl Token {
    /// Whether the hub accepts this token at this time.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| end > now)
    }
}

/// In whose name the hub makes a change. Without a token and an address, it is the hub's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actor {
    /// The token that the caller sent.
    pub token: Option<TokenName>,
    /// Where the request came from.
    pub address: Option<IpAddr>,
    /// What its token is bound to. An actor that is only known by name is not bound: the hub works for it in the
    /// background.
    pub projects: AllowedProjects,
}

/// The client that the limits for each client count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Caller {
    Token(TokenName),
    Address(IpAddr),
    Unknown,
}

impl Actor {
    /// A caller with a token is the same client at every address.
    pub fn caller(&self) -> Caller {
        match (&self.token, self.address) {
            (Some(name), _) => Caller::Token(name.clone()),
            (None, Some(address)) => Caller::Address(network(address)),
            (None, None) => Caller::Unknown,
        }
    }
}

/// One client has at least a /64 of IPv6 (RFC 6177), so all its addresses count as one client. An
/// IPv4 address counts alone, also when it is written as IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        other => other,
    }
}

word_enum! {
    /// What the audit log tells of.
    AuditAction {
        ExecutionRequested = "execution_requested",
        ExecutionStopRequested = "execution_stop_requested",
        TokenCreated = "token_created",
        TokenRevoked = "token_revoked",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_one_caller() {
        let caller = |address: &str| Actor { address: address.parse().ok(), ..Actor::default() }.caller();
        assert_eq!(caller("2001:db8::1"), caller("2001:db8::ffff:2"));
        assert_ne!(caller("2001:db8::1"), caller("2001:db8:0:1::1"));
        assert_eq!(caller("::ffff:192.0.2.1"), caller("192.0.2.1"));
        assert_ne!(caller("192.0.2.2"), caller("192.0.2.1"));
        assert_eq!(caller("::1"), Caller::Address(Ipv6Addr::LOCALHOST.into()));
    }

    #[test]
    fn a_scope_includes_those_before_it() {
        assert!(Scope::Read < Scope::Write && Scope::Write < Scope::Exec);
        assert_eq!(Scope::Exec.words(), "read,write,exec");
        assert_eq!(Scope::Read.words(), "read");
    }
}
