//! What would break a client between two specifications. Additions never do: clients pass over what they do not know.

use std::collections::BTreeSet;

use serde_json::Value;

/// Which way the values of a schema go: what a client may send must stay allowed, and what it may rely on must come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Sent,
    Received,
}

/// Says what in `new` breaks clients that were made for `old`, one line a break.
pub fn breaks(old: &Value, new: &Value) -> Vec<String> {
    let mut comparison = Comparison { old, new, seen: BTreeSet::new(), found: Vec::new() };
    comparison.document();
    // What goes both ways is found twice.
    let mut known = BTreeSet::new();
    comparison.found.retain(|line| known.insert(line.clone()));
    comparison.found
}

/// Enums whose constants oapi-codegen has always named after the enum as well, for reasons of its own.
const ALWAYS_PREFIXED: [&str; 2] = ["Code", "EventKind"];

struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    /// Components that were compared, each way: they refer to each other.
    seen: BTreeSet<(String, bool)>,
    found: Vec<String>,
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn texts(value: &Value) -> BTreeSet<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

impl<'a> Comparison<'a> {
    fn found(&mut self, place: &str, words: impl std::fmt::Display) {
        self.found.push(format!("{place}: {words}"));
    }

    fn document(&mut self) {
        for (path, operations) in members(&self.old["paths"]) {
            for (method, old) in members(operations) {
                let new = &self.new["paths"][path.as_str()][method.as_str()];
                let place = format!("{} {path}", method.to_uppercase());
                match new.is_object() {
                    true => self.operation(&place, old, new),
                    false => self.found(&place, "the operation is gone"),
                }
            }
        }
        for (name, _) in members(&self.old["components"]["schemas"]) {
            if self.new["components"]["schemas"].get(name).is_none() {
                self.found(name, "the schema is gone; types are named after it");
            }
        }
        let (was, is) = (with_shared_words(self.old), with_shared_words(self.new));
        for name in is.difference(&was).filter(|name| !ALWAYS_PREFIXED.contains(name)) {
            if self.old["components"]["schemas"].get(*name).is_some() {
                self.found(name, "shares a word with another enum; oapi-codegen would rename its constants");
            }
        }
    }

    fn operation(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        if old["operationId"] != new["operationId"] {
            self.found(
                place,
                format!("{} is now {}; methods are named after it", old["operationId"], new["operationId"]),
            );
        }
        for field in ["security", "x-required-scope"] {
            if old[field] != new[field] {
                self.found(place, format!("{field} is another"));
            }
        }
        self.parameters(place, &old["parameters"], &new["parameters"]);
        self.request(place, &old["requestBody"], &new["requestBody"]);
        for (status, answer) in members(&old["responses"]) {
            let (old, new) = (target(self.old, answer), target(self.new, &new["responses"][status.as_str()]));
            let place = format!("{place} {status}");
            match new.is_object() {
                true => self.response(&place, old, new),
                false => self.found(&place, "the answer is gone"),
            }
        }
    }

    fn parameters(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        let list = |value: &'a Value| value.as_array().into_iter().flatten();
        let same = |a: &Value, b: &Value| a["in"] == b["in"] && a["name"] == b["name"];
        for parameter in list(old) {
            let place = format!("{place} {}", parameter["name"].as_str().unwrap_or_default());
            let Some(now) = list(new).find(|it| same(it, parameter)) else {
                self.found(&place, "the parameter is gone");
                continue;
            };
            if now["required"] == true && parameter["required"] != true {
                self.found(&place, "the parameter is now required");
            }
            for field in ["style", "explode"] {
                if now[field] != parameter[field] {
                    self.found(&place, format!("{field} is another"));
                }
            }
            self.schema(&place, &parameter["schema"], &now["schema"], Way::Sent);
        }
        for parameter in list(new).filter(|it| it["required"] == true) {
            if !list(old).any(|it| same(it, parameter)) {
                self.found(place, format!("{} is a new required parameter", parameter["name"]));
            }
        }
    }

    fn request(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        let place = format!("{place} body");
        match (old.is_object(), new.is_object()) {
            (true, false) => self.found(&place, "is gone"),
            (_, true) if new["required"] == true && old["required"] != true => {
                self.found(&place, "is now required");
            }
            _ => {}
        }
        if old.is_object() && new.is_object() {
            self.content(&place, &old["content"], &new["content"], Way::Sent);
        }
    }

    fn response(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        self.content(place, &old["content"], &new["content"], Way::Received);
        for (name, header) in members(&old["headers"]) {
            let now = &new["headers"][name.as_str()];
            let place = format!("{place} {name}");
            if !now.is_object() {
                self.found(&place, "the header is gone");
                continue;
            }
            if header["required"] == true && now["required"] != true {
                self.found(&place, "the header is no longer always there");
            }
            self.schema(&place, &header["schema"], &now["schema"], Way::Received);
        }
    }

    fn content(&mut self, place: &str, old: &'a Value, new: &'a Value, way: Way) {
        for (kind, media) in members(old) {
            let place = format!("{place} {kind}");
            match new.get(kind) {
                Some(now) => self.schema(&place, &media["schema"], &now["schema"], way),
                None => self.found(&place, "is gone"),
            }
        }
    }

    fn schema(&mut self, place: &str, old: &'a Value, new: &'a Value, way: Way) {
        let (was, is) = (name_of(old), name_of(new));
        if was != is {
            self.found(
                place,
                format!("the type is now {}", is.or(new["type"].as_str()).unwrap_or("another")),
            );
            return;
        }
        self.nullable(place, old, new, way);
        let place = match was {
            Some(name) if !self.seen.insert((name.to_owned(), way == Way::Sent)) => return,
            Some(name) => name,
            None => place,
        };
        let (old, new) = (target(self.old, old), target(self.new, new));
        if old["type"] != new["type"] || old["format"] != new["format"] {
            self.found(
                place,
                format!(
                    "the type was {} {}, is {} {}",
                    old["type"], old["format"], new["type"], new["format"]
                ),
            );
            return;
        }
        self.words(place, old, new);
        if way == Way::Sent {
            self.bounds(place, old, new);
        }
        self.properties(place, old, new, way);
        for inner in ["items", "additionalProperties"] {
            if old[inner].is_object() {
                self.schema(&format!("{place}.{inner}"), &old[inner], &new[inner], way);
            }
        }
        self.union(place, old, new, way);
    }

    fn nullable(&mut self, place: &str, old: &Value, new: &Value, way: Way) {
        match (way, old["nullable"] == true, new["nullable"] == true) {
            (Way::Sent, true, false) => self.found(place, "may no longer be null"),
            (Way::Received, false, true) => self.found(place, "may now be null"),
            _ => {}
        }
    }

    fn words(&mut self, place: &str, old: &Value, new: &Value) {
        if new["enum"].is_array() && !old["enum"].is_array() {
            self.found(place, "only some values are left");
        }
        for word in texts(&old["enum"]).difference(&texts(&new["enum"])) {
            if new["enum"].is_array() {
                self.found(place, format!("{word:?} is gone"));
            }
        }
    }

    /// What could be sent and would be refused now.
    fn bounds(&mut self, place: &str, old: &Value, new: &Value) {
        for (name, is_upper) in [
            ("maximum", true),
            ("maxLength", true),
            ("maxItems", true),
            ("maxProperties", true),
            ("minimum", false),
            ("minLength", false),
            ("minItems", false),
        ] {
            let is_tighter = match (old[name].as_f64(), new[name].as_f64()) {
                (_, None) => false,
                (None, Some(_)) => true,
                (Some(was), Some(is)) => {
                    if is_upper {
                        is < was
                    } else {
                        is > was
                    }
                }
            };
            if is_tighter {
                self.found(place, format!("{name} was {}, is {}", old[name], new[name]));
            }
        }
        if new["pattern"].is_string() && new["pattern"] != old["pattern"] {
            self.found(place, "pattern is another");
        }
    }

    fn properties(&mut self, place: &str, old: &'a Value, new: &'a Value, way: Way) {
        let (required, now) = (texts(&old["required"]), texts(&new["required"]));
        for (name, schema) in members(&old["properties"]) {
            let place = format!("{place}.{name}");
            match new["properties"].get(name) {
                Some(now) => self.schema(&place, schema, now, way),
                None => self.found(&place, "the field is gone"),
            }
        }
        match way {
            Way::Sent => {
                for name in now.difference(&required) {
                    self.found(&format!("{place}.{name}"), "the field is now required");
                }
            }
            Way::Received => {
                // A field that is gone is found as such.
                let fields = &new["properties"];
                for name in required.difference(&now).filter(|name| fields.get(**name).is_some()) {
                    self.found(&format!("{place}.{name}"), "the field is no longer always there");
                }
            }
        }
    }

    fn union(&mut self, place: &str, old: &'a Value, new: &'a Value, way: Way) {
        if old["discriminator"]["propertyName"] != new["discriminator"]["propertyName"] {
            self.found(place, "the discriminator is another");
        }
        for (word, _) in members(&old["discriminator"]["mapping"]) {
            if new["discriminator"]["mapping"].get(word).is_none() {
                self.found(place, format!("the kind {word} is gone"));
            }
        }
        let parts = |value: &'a Value| value["oneOf"].as_array().into_iter().flatten();
        for part in parts(old) {
            if let Some(now) = parts(new).find(|it| name_of(it) == name_of(part)) {
                self.schema(place, part, now, way);
            }
        }
    }
}

/// The enums with a word, or the name that it is given, that another enum has as well.
fn with_shared_words(document: &Value) -> BTreeSet<&str> {
    let schemas = || members(&document["components"]["schemas"]);
    let shares = |(name, schema): &(&String, &Value)| {
        schemas().any(|(other, it)| other != *name && !constants(schema).is_disjoint(&constants(it)))
    };
    schemas().filter(shares).map(|(name, _)| name.as_str()).collect()
}

fn constants(schema: &Value) -> BTreeSet<&str> {
    match texts(&schema["x-enumNames"]) {
        given if given.is_empty() => texts(&schema["enum"]),
        given => given,
    }
}

/// The component that a schema refers to, plainly or as `allOf` with one reference.
fn name_of(schema: &Value) -> Option<&str> {
    let reference = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str())?;
    reference.rsplit('/').next()
}

/// What a reference refers to, or the value itself.
fn target<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let reference = value["$ref"].as_str().or_else(|| value["allOf"][0]["$ref"].as_str());
    match reference {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null),
        None => value,
    }
}
