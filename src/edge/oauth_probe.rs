//! The paths at which agents look for an authorization server. This hub has none: it is told who asks by tokens of its own.
//!
//! A client that is answered 401 there takes the hub for one that has an authorization server and refuses it. So the answer is
//! 404 for everybody, and says how to get in.

use crate::api::problem::{Code, Problem};

const DETAIL: &str = "this hub has no authorization server; make a token with `taskhub token create` and have your client send \
                      it as `Authorization: Bearer …`";

/// The answer to a request for such a path; `None` for every other.
pub fn answer(path: &str) -> Option<Problem> {
    let is_probe = path == "/register"
        || path == "/authorize"
        || path == "/token"
        || path.starts_with("/.well-known/oauth-")
        || path.starts_with("/.well-known/openid-configuration")
        || path.starts_with("/mcp/.well-known/");
    is_probe.then(|| Problem::new(Code::RouteNotFound, DETAIL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_belongs_to_authorization_servers_is_answered() {
        for probe in [
            "/register",
            "/.well-known/oauth-protected-resource",
            "/.well-known/oauth-protected-resource/mcp",
            "/.well-known/oauth-authorization-server",
            "/.well-known/openid-configuration",
            "/mcp/.well-known/openid-configuration",
        ] {
            assert!(answer(probe).is_some(), "{probe}");
        }
        for other in ["/mcp", "/", "/api/tasks", "/.well-known/security.txt", "/registers"] {
            assert!(answer(other).is_none(), "{other}");
        }
    }
}
