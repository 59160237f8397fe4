//! Finds the operation that a request is for, and what the specification says about it.

use std::sync::LazyLock;

use poem::http::Method;
use serde_json::Value;

use crate::domain::token::Scope;

use crate::api::spec;

/// What the checks must know about an operation before it is called.
#[derive(Debug)]
pub struct Operation {
    method: Method,
    /// The scope that a caller needs; `None`: it is open to everybody.
    pub scope: Option<Scope>,
    /// Its query parameters.
    pub query: Vec<Parameter>,
    pub takes_body: bool,
    /// Whether it creates something, and so takes an `Idempotency-Key`.
    pub takes_key: bool,
    /// Whether its answer is a stream.
    pub is_stream: bool,
}

/// Where agents find the hub.
pub const MCP_PATH: &str = "/mcp";

/// A query parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    pub name: &'static str,
    /// Whether it may be given several times.
    pub is_list: bool,
}

/// A path with parameters, and its operations.
#[derive(Debug)]
pub struct Template {
    parts: Vec<&'static str>,
    operations: Vec<Operation>,
}

/// Sorted: a literal part is a better match than a parameter, as in the router.
static TEMPLATES: LazyLock<Vec<Template>> = LazyLock::new(|| {
    let paths = spec::DOCUMENT["paths"].as_object().into_iter().flatten();
    let mut templates: Vec<_> = paths.map(|(path, operations)| Template::of(path, operations)).collect();
    templates.push(Template::mcp());
    templates.sort_by_key(|template| template.parts.iter().filter(|part| is_parameter(part)).count());
    templates
});

/// The template that matches `path`; `None` when `path` has no operation. Called once for each
/// request.
pub fn at(path: &str) -> Option<&'static Template> {
    let parts = path.bytes().filter(|byte| *byte == b'/').count();
    TEMPLATES.iter().find(|template| template.parts.len() == parts && template.matches(path))
}

fn is_parameter(part: &str) -> bool {
    part.as_bytes().first() == Some(&b'{')
}

impl Template {
    fn of(path: &'static str, operations: &'static Value) -> Self {
        let operations = operations.as_object().into_iter().flatten();
        Self {
            parts: path.trim_matches('/').split('/').collect(),
            operations: operations.filter_map(|(method, it)| Operation::of(method, it)).collect(),
        }
    }

    /// The endpoint for agents. It is not in the specification, because its messages are those of another protocol. A token
    /// has to be good for reading; what a message asks for may need more.
    fn mcp() -> Self {
        let post = Operation {
            method: Method::POST,
            scope: Some(Scope::Read),
            query: Vec::new(),
            takes_body: true,
            takes_key: false,
            is_stream: false,
        };
        Self { parts: vec![MCP_PATH.trim_matches('/')], operations: vec![post] }
    }

    /// The operation that answers `method`.
    pub fn operation(&self, method: &Method) -> Option<&Operation> {
        // HEAD is answered as GET.
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.operations.iter().find(|operation| operation.method == method)
    }

    /// The methods of the path, for `Allow`.
    pub fn methods(&self) -> String {
        let mut methods: Vec<_> = self.operations.iter().map(|operation| operation.method.as_str()).collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.join(", ")
    }

    /// The name of the parameter with this number, counted from 0.
    pub fn parameter(&self, number: usize) -> Option<&'static str> {
        let mut names = self.parts.iter().filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        names.nth(number)
    }

    /// Called for several templates in every request, so it neither allocates nor searches.
    fn matches(&self, path: &str) -> bool {
        let mut rest = path.as_bytes();
        for part in &self.parts {
            let Some((b'/', after)) = rest.split_first() else {
                return false;
            };
            let length = match is_parameter(part) {
                true => after.iter().take_while(|byte| **byte != b'/').count(),
                false if after.starts_with(part.as_bytes()) => part.len(),
                false => return false,
            };
            rest = &after[length..];
        }
        rest.is_empty()
    }
}

impl Operation {
    fn of(method: &str, described: &'static Value) -> Option<Self> {
        let parameters = || described["parameters"].as_array().into_iter().flatten();
        let query = parameters().filter(|parameter| parameter["in"] == "query").filter_map(|parameter| {
            Some(Parameter {
                name: parameter["name"].as_str()?,
                is_list: parameter["schema"]["type"] == "array",
            })
        });
        let is_key =
            |parameter: &Value| parameter["in"] == "header" && parameter["name"] == "Idempotency-Key";
        Some(Self {
            method: method.to_uppercase().parse().ok()?,
            scope: described[spec::REQUIRED_SCOPE].as_str().and_then(|scope| scope.parse().ok()),
            takes_body: described.get("requestBody").is_some(),
            takes_key: parameters().any(is_key),
            is_stream: described["responses"]["200"]["content"].get("text/event-stream").is_some(),
            query: query.collect(),
        })
    }

    /// The query parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.query.iter().find(|parameter| parameter.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_a_better_match_than_a_parameter() {
        let parameter = |path: &str| at(path).and_then(|template| template.parameter(0));
        assert_eq!(parameter("/api/tasks/1"), Some("task_id"));
        assert_eq!(parameter("/api/tasks/status/1"), Some("task_id"));
        let methods = |path: &str| at(path).map(Template::methods);
        assert_eq!(methods("/api/tasks/status/1").as_deref(), Some("PUT"));
        assert_eq!(methods("/api/tasks").as_deref(), Some("GET, POST, HEAD"));
        assert_eq!(methods("/api/events/status").as_deref(), Some("GET, HEAD"));
        for nowhere in ["/nowhere", "/", "", "/api/tasks/1/2/3", "/api/tasks/1/", "api/tasks/1"] {
            assert_eq!(methods(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn every_operation_says_what_it_needs() {
        let find = |method: Method, path: &str| at(path)?.operation(&method);
        let scope = |method: Method, path: &str| find(method, path).map(|operation| operation.scope);
        assert_eq!(scope(Method::HEAD, "/api/tasks"), Some(Some(Scope::Read)));
        assert_eq!(scope(Method::DELETE, "/api/tasks/1"), Some(Some(Scope::Write)));
        assert_eq!(scope(Method::GET, "/health"), Some(None));
        assert_eq!(scope(Method::DELETE, "/health"), None);
        let takes_body = |method: Method, path: &str| find(method, path).is_some_and(|it| it.takes_body);
        assert!(takes_body(Method::PUT, "/api/tasks/status/1") && takes_body(Method::POST, "/api/exec/1"));
        assert!(!takes_body(Method::GET, "/health") && !takes_body(Method::POST, "/api/exec/1/stop"));
    }
}
