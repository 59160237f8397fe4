//! Adds to the specification what the layers in front of the handlers do: who may call an
//! operation, and what these layers answer.
//!
//! Every problem has the same form. So each status is described once, as a component, and the
//! operations refer to it.

use serde_json::{Map, Value, json};

use crate::domain::token::Scope;

/// The field in which an operation names the scope it needs. OpenAPI 3.0 has no place for the
/// scopes of a bearer token.
pub const REQUIRED_SCOPE: &str = "x-required-scope";

const ACCESS: &str = "A token from `taskhub token create`, as `Authorization: Bearer …`. A hub that has never had one asks \
                      for none. Scopes: `read`, `write` (includes `read`) and `exec` (includes both); \
                      `x-required-scope` of an operation names the one it needs. To set or clear a task's `script` needs \
                      `exec` as well. `EventSource`, which cannot send it, uses a ticket from \
                      `POST /api/events/tickets`.";

/// Each status that is a problem: the status, its component's name, and its meaning.
const PROBLEMS: [(&str, &str, &str); 16] = [
    ("400", "BadRequest", "The request is wrong; `detail` says where, and `field` names what."),
    ("401", "Unauthorized", "A token is needed, and none that is good was sent."),
    ("403", "Forbidden", "The token does not allow this, or a page of another site asks."),
    ("404", "NotFound", "There is no such task, project, question or execution."),
    ("408", "RequestTimeout", "The body did not arrive in time; nothing was changed."),
    ("409", "Conflict", "The present state forbids it; `detail` says what to do."),
    ("410", "Gone", "The cursor is not, or no longer, a place in the log."),
    ("412", "PreconditionFailed", "It is not, or no longer, what `If-Match` names; get it again."),
    ("413", "ContentTooLarge", "The body is too large; `detail` says how large it may be."),
    ("415", "UnsupportedMediaType", "The body is not declared as JSON."),
    ("416", "RangeNotSatisfiable", "The range lies beyond the end."),
    ("421", "MisdirectedRequest", "The `Host` header names a host that this hub does not answer for."),
    ("422", "UnprocessableContent", "The idempotency key was used for another request."),
    ("429", "TooManyRequests", "The client asks too often, or has too many streams open."),
    ("4XX", "ClientError", "The request cannot be served as it is; `detail` says what to do."),
    ("5XX", "ServerError", "The hub cannot serve the request now; nothing was changed."),
];

/// Describes the answer to a claim as a component. Go's ogen gives equal answers one type and names
/// it after the first operation that has it, and clients know this type by the name of another.
pub fn name_claimed_task(document: &mut Value) {
    let Some(answer) = document.pointer_mut("/paths/~1api~1tasks~1claim/post/responses/200") else { return };
    let answer = std::mem::replace(answer, json!({ "$ref": "#/components/responses/ClaimedTask" }));
    document["components"]["responses"]["ClaimedTask"] = answer;
}

/// Adds the answers of the layers, and replaces equal answers by a reference to one component.
pub fn complete(document: &mut Value) {
    document["components"]["securitySchemes"] =
        json!({ "token": { "type": "http", "scheme": "bearer", "description": ACCESS } });
    for (method, operation) in operations(document) {
        guard(operation);
        secure(&method, operation);
        let Some(responses) = operation["responses"].as_object_mut() else { continue };
        if method == "get"
            && responses["200"]["headers"].get("ETag").is_some()
            && !responses.contains_key("304")
        {
            let description = "It is still what `If-None-Match` names.";
            responses.insert("304".to_owned(), json!({ "description": description }));
        }
        for (status, response) in responses.iter_mut() {
            if let Some((_, name, _)) = PROBLEMS.iter().find(|(known, _, _)| known == status) {
                *response = json!({ "$ref": format!("#/components/responses/{name}") });
            }
        }
        responses.sort_keys();
    }
    let answers = PROBLEMS.iter().map(|(status, name, words)| ((*name).to_owned(), answer(status, words)));
    document["components"]["responses"] = Value::Object(answers.collect());
}

/// All operations, each with its method.
fn operations(document: &mut Value) -> impl Iterator<Item = (String, &mut Map<String, Value>)> {
    let paths = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    let operations = paths.filter_map(Value::as_object_mut).flatten();
    operations.filter_map(|(method, operation)| Some((method.clone(), operation.as_object_mut()?)))
}

fn answer(status: &str, words: &str) -> Value {
    let problem = json!({ "$ref": "#/components/schemas/Problem" });
    let mut answer =
        json!({ "description": words, "content": { "application/problem+json": { "schema": problem } } });
    let header = |words: &str, required: bool, schema: Value| {
        let mut header = json!({ "description": words, "schema": schema });
        if required {
            header["required"] = true.into();
        }
        header
    };
    let challenge = |required| {
        header("How to show a token (RFC 6750).", required, json!({ "type": "string", "minLength": 1 }))
    };
    let text = |words: &str| header(words, false, json!({ "type": "string", "minLength": 1 }));
    let seconds = |required| {
        let schema = json!({ "type": "integer", "format": "int32", "minimum": 1 });
        header("How many seconds to wait before asking again.", required, schema)
    };
    let headers = match status {
        "401" => json!({ "WWW-Authenticate": challenge(true) }),
        "403" => json!({ "WWW-Authenticate": challenge(false) }),
        "415" => {
            json!({ "Accept-Encoding": text("`identity`, when the body was compressed (RFC 9110, section 12.5.3).") })
        }
        "416" => {
            json!({ "Content-Range": text("How long it is, as in `bytes */4096` (RFC 9110, section 14.4).") })
        }
        "429" => json!({ "Retry-After": seconds(true) }),
        // Sent with 503 and 507.
        "5XX" => json!({ "Retry-After": seconds(false) }),
        _ => return answer,
    };
    answer["headers"] = headers;
    answer
}

/// Adds the answers that the hub gives before it knows the caller. They are the same for every
/// operation.
fn guard(operation: &mut Map<String, Value>) {
    for status in ["400", "421"] {
        operation["responses"][status] = Value::Null;
    }
}

/// The scope that an operation needs. `None` when everybody may call it.
fn required_scope(method: &str, operation_id: &str) -> Option<Scope> {
    match (method, operation_id) {
        // A supervisor that starts and watches the hub has no token.
        (_, "health" | "readiness") => None,
        (_, "startExecution" | "stopExecution" | "attachExecution") => Some(Scope::Exec),
        // A ticket allows only reading.
        (_, "createEventTicket") => Some(Scope::Read),
        ("get", _) => Some(Scope::Read),
        _ => Some(Scope::Write),
    }
}

/// Says who may call the operation: a caller with a token, or anybody when the hub asks for no
/// token.
fn secure(method: &str, operation: &mut Map<String, Value>) {
    let id = operation["operationId"].as_str().unwrap_or_default();
    let Some(scope) = required_scope(method, id) else {
        operation.insert("security".to_owned(), json!([]));
        return;
    };
    operation.insert("security".to_owned(), json!([{ "token": [] }, {}]));
    operation.insert(REQUIRED_SCOPE.to_owned(), json!(scope.word()));
    let words =
        format!("{}\n\nNeeds the scope `{scope}`.", operation["description"].as_str().unwrap_or_default());
    operation["description"] = words.into();
    for status in ["401", "403", "429"] {
        operation["responses"][status] = Value::Null;
    }
}
