//! Changes the output of poem-openapi to what generators and linters want. Every change is a rule
//! for the whole document.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

const SCHEMA_PREFIX: &str = "#/components/schemas/";

/// The order of the groups, as a new user wants to read them.
const TAGS: [&str; 7] = ["Tasks", "Leases", "Projects", "Questions", "Executions", "Events", "System"];

pub fn polish(document: &mut Value) {
    // poem-openapi writes 3.0.0. progenitor and other generators read no version after 3.0.
    document["openapi"] = "3.0.3".into();
    walk(document, &mut tidy);
    name_nullable_types(document);
    let requested = requested_schemas(document);
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        for (name, schema) in schemas.iter_mut() {
            close_or_complete(name, schema, requested.contains(name));
            name_event_word(name, schema);
            name_shared_words(name, schema);
        }
    }
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.sort_by_key(|tag| TAGS.iter().position(|name| tag["name"] == *name));
    }
}

fn walk(value: &mut Value, rule: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            object.values_mut().for_each(|it| walk(it, rule));
            rule(object);
        }
        Value::Array(list) => list.iter_mut().for_each(|it| walk(it, rule)),
        _ => {}
    }
}

/// Applies the rules that look at one object at a time.
fn tidy(object: &mut Map<String, Value>) {
    // Removes fields that only repeat the default. They would clutter every diff.
    object.retain(|key, value| match key.as_str() {
        "deprecated" => *value != json!(false),
        "explode" => *value != json!(true),
        "description" => *value != json!(""),
        _ => true,
    });
    // Each line of a doc comment begins with a space.
    if let Some(Value::String(text)) = object.get_mut("description") {
        *text = text.replace("\n ", "\n");
    }
    // poem-openapi repeats the name of the schema inside it.
    if object.contains_key("properties") {
        object.remove("title");
    }
    // A reference with siblings becomes `allOf` with one reference; poem-openapi repeats the siblings inside.
    if let Some(parts) = object.get_mut("allOf").and_then(Value::as_array_mut) {
        parts.retain(|part| part.get("$ref").is_some());
    }
    // JSON has no charset parameter. It is always UTF-8.
    if let Some(content) = object.get_mut("content").and_then(Value::as_object_mut) {
        *content = std::mem::take(content)
            .into_iter()
            .map(|(kind, media)| (kind.split(';').next().unwrap_or_default().to_owned(), media))
            .collect();
    }
    if let Some(headers) = object.get_mut("headers").and_then(Value::as_object_mut) {
        *headers =
            std::mem::take(headers).into_iter().map(|(name, header)| (header_name(&name), header)).collect();
    }
    // OpenAPI 3.0 has no unsigned formats.
    let signed = match object.get("format").and_then(Value::as_str) {
        Some("uint16" | "uint32") => Some("int32"),
        Some("uint64") => Some("int64"),
        _ => None,
    };
    if let Some(format) = signed {
        object.insert("format".to_owned(), format.into());
        object.entry("minimum").or_insert(json!(0));
    }
    for bound in ["minimum", "maximum"] {
        if let Some(number) = object.get(bound).and_then(Value::as_f64)
            && object.get("type") == Some(&json!("integer"))
        {
            object.insert(bound.to_owned(), json!(number as i64));
        }
    }
    // A body that may have another form as well is described as JSON; its operation says in words
    // which other form it takes. progenitor makes no client at all when a body has two forms, and
    // openapi-python-client leaves the operation out.
    if let Some(body) = object.get_mut("requestBody").and_then(|body| body["content"].as_object_mut())
        && body.contains_key("application/json")
    {
        body.retain(|kind, _| kind == "application/json");
    }
    // Swagger UI sends the example of a parameter that nobody has asked for.
    if object.get("in").is_some_and(Value::is_string)
        && object.get("required") != Some(&json!(true))
        && let Some(schema) = object.get_mut("schema").and_then(Value::as_object_mut)
    {
        schema.remove("example");
    }
    // Commas separate the lists in a query.
    if object.get("in") == Some(&json!("query"))
        && object.get("schema").and_then(|it| it.get("type")) == Some(&json!("array"))
    {
        object.insert("style".to_owned(), json!("form"));
        object.insert("explode".to_owned(), json!(false));
    }
}

/// `nullable` has an effect only beside a `type` (OpenAPI 3.0.3). So a nullable reference repeats
/// the type of its target. Strictly, null would also have to be among the words of an enum, but
/// generators make a second or wrong type of that. All of them understand this form for enums and
/// objects alike, and so do validators that know OpenAPI.
fn name_nullable_types(document: &mut Value) {
    let types: BTreeMap<String, Value> = document["components"]["schemas"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, schema)| Some((format!("{SCHEMA_PREFIX}{name}"), schema.get("type")?.clone())))
        .collect();
    walk(document, &mut |object| {
        let target = object.get("allOf").and_then(|parts| parts[0]["$ref"].as_str());
        if object.contains_key("nullable")
            && let Some(kind) = target.and_then(|target| types.get(target))
        {
            object.insert("type".to_owned(), kind.clone());
        }
    });
}

/// Go's ogen gives the only word of `event` the same name as the variant of the union, so the word
/// needs another name. Other generators ignore it.
fn name_event_word(name: &str, schema: &mut Value) {
    if let Some(event) = schema.pointer_mut("/properties/event")
        && event.get("enum").is_some()
    {
        event["x-ogen-name"] = format!("{name}Word").into();
    }
}

/// Enums that share a word with an older enum.
const WITH_NAMED_WORDS: [&str; 2] = ["LeasePhase", "QuestionStatus"];

/// Go's oapi-codegen names a constant after its word alone, and puts the name of the enum before it
/// only when two enums share a word. So a new enum would rename constants of an older one that
/// clients use. These names keep the new constants apart. Other generators ignore them.
fn name_shared_words(name: &str, schema: &mut Value) {
    if WITH_NAMED_WORDS.contains(&name)
        && let Some(words) = schema["enum"].as_array()
    {
        let names = words.iter().filter_map(Value::as_str).map(|word| format!("{name}{}", pascal_case(word)));
        schema["x-enumNames"] = names.collect();
    }
}

fn pascal_case(word: &str) -> String {
    let parts = word.split('_').map(|part| {
        let (first, rest) = part.split_at(part.len().min(1));
        first.to_uppercase() + rest
    });
    parts.collect()
}

/// poem-openapi writes header names in upper case. People and some generators prefer the usual
/// form.
fn header_name(name: &str) -> String {
    match name {
        "ETAG" => "ETag".to_owned(),
        other => other
            .split('-')
            .map(|part| {
                let (first, rest) = part.split_at(part.len().min(1));
                first.to_uppercase() + &rest.to_lowercase()
            })
            .collect::<Vec<_>>()
            .join("-"),
    }
}

/// Fields that are not in every answer: `omitted` is for clients that ask for shorter events
/// (`max_bytes`). The result of an operation has a task or a problem; an example with null would be
/// refused by linters.
fn is_optional(schema: &str, field: &str) -> bool {
    field == "omitted" || (schema == "BatchResult" && matches!(field, "task" | "problem"))
}

/// What another program sends by a schema of its own, which grows without us.
fn is_open(schema: &str) -> bool {
    schema == "HookInput"
}

/// A schema in a request allows no other fields, unless it is [open](is_open). A schema in an answer requires all its fields,
/// except those that are [optional](is_optional).
fn close_or_complete(name: &str, schema: &mut Value, requested: bool) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    let Some(properties) = object.get("properties").and_then(Value::as_object) else {
        return;
    };
    if requested && is_open(name) {
        return;
    }
    if requested {
        object.insert("additionalProperties".to_owned(), json!(false));
    } else {
        let all: Vec<_> = properties.keys().filter(|field| !is_optional(name, field)).cloned().collect();
        object.insert("required".to_owned(), json!(all));
    }
}

/// The names of all schemas that a request body uses, directly or through another schema.
fn requested_schemas(document: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = Vec::new();
    let operations = document["paths"].as_object().into_iter().flat_map(|paths| paths.values());
    for operation in operations.filter_map(Value::as_object).flat_map(|it| it.values()) {
        if let Some(body) = operation.get("requestBody") {
            references(body, &mut open);
        }
    }
    while let Some(name) = open.pop() {
        if let Some(schema) = document.pointer(&format!("/components/schemas/{name}"))
            && found.insert(name)
        {
            references(schema, &mut open);
        }
    }
    found
}

fn references(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(name) = object.get("$ref").and_then(Value::as_str) {
                names.extend(name.strip_prefix(SCHEMA_PREFIX).map(str::to_owned));
            }
            object.values().for_each(|it| references(it, names));
        }
        Value::Array(list) => list.iter().for_each(|it| references(it, names)),
        _ => {}
    }
}
