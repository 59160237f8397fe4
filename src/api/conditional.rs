//! Reads `If-Match` and `If-None-Match` (RFC 9110, sections 8.8.3 and 13.1). It compares tags
//! character by character. A condition that it cannot read is not met.

use std::time::SystemTime;

use poem::http::{HeaderValue, StatusCode, header};
use poem::web::headers::{HeaderMapExt, IfModifiedSince, IfUnmodifiedSince};
use poem::{Request, Response};

use crate::service::{Precondition, Versions};

/// The entity tags of one header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tags {
    /// `*`: any tag.
    Any,
    OneOf(Vec<Tag>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    is_weak: bool,
    /// The text between the quotes.
    opaque: String,
}

impl Tags {
    fn of(request: &Request, name: &str) -> Option<Self> {
        super::request_headers::header_list(request, name).map(|text| Self::parse(&text))
    }

    /// Reads tags up to the first part that is not a tag.
    pub fn parse(text: &str) -> Self {
        if text.trim() == "*" {
            return Self::Any;
        }
        let (mut tags, mut rest) = (Vec::new(), text);
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            let (is_weak, quoted) = match rest.strip_prefix("W/") {
                Some(quoted) => (true, quoted),
                None => (false, rest),
            };
            let Some((opaque, after)) = quoted.strip_prefix('"').and_then(|inside| inside.split_once('"'))
            else {
                return Self::OneOf(tags);
            };
            tags.push(Tag { is_weak, opaque: opaque.to_owned() });
            rest = after;
        }
    }

    /// Whether one of the tags is `opaque`. With `has_to_be_strong`, weak tags do not count.
    fn name(&self, opaque: &str, has_to_be_strong: bool) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => {
                tags.iter().any(|tag| tag.opaque == opaque && !(has_to_be_strong && tag.is_weak))
            }
        }
    }

    /// The versions of a task that the tags name.
    fn versions(self, has_to_be_strong: bool) -> Versions {
        match self {
            Self::Any => Versions::Any,
            Self::OneOf(tags) => Versions::OneOf(
                tags.into_iter()
                    .filter(|tag| !(has_to_be_strong && tag.is_weak))
                    // `"+1"` and `"01"` are different tags from `"1"`.
                    .filter_map(|tag| tag.opaque.parse().ok().filter(|it: &i64| it.to_string() == tag.opaque))
                    .collect(),
            ),
        }
    }
}

/// The conditions of a request that changes a task.
pub fn of(request: &Request) -> Precondition {
    Precondition {
        if_match: Tags::of(request, "If-Match").map(|tags| tags.versions(true)),
        if_none_match: Tags::of(request, "If-None-Match").map(|tags| tags.versions(false)),
    }
}

/// Whether `If-Match` asks for something other than `opaque`, a strong tag. Without `If-Match`,
/// `If-Unmodified-Since` decides.
pub fn is_another(request: &Request, opaque: &str, modified: SystemTime) -> bool {
    match Tags::of(request, "If-Match") {
        Some(tags) => !tags.name(opaque, true),
        None => {
            let since = request.headers().typed_get::<IfUnmodifiedSince>();
            since.is_some_and(|since| !since.precondition_passes(modified))
        }
    }
}

/// Whether `If-Modified-Since` says that the client has the current state. With `If-None-Match`,
/// which is more exact, this header does not count.
pub fn is_unmodified(request: &Request, modified: SystemTime) -> bool {
    let since = request.headers().typed_get::<IfModifiedSince>();
    !request.headers().contains_key(header::IF_NONE_MATCH)
        && since.is_some_and(|since| !since.is_modified(modified))
}

/// Answers 304 without a body when the client already has this response. For GET and HEAD. All
/// headers that are not about the body stay as in a 200: a browser applies the headers of a 304 to
/// its stored copy, including the security policy of a page.
pub fn spare(if_none_match: &str, mut response: Response) -> Response {
    let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
    let opaque = tag.and_then(|tag| tag.trim_start_matches("W/").strip_prefix('"')?.strip_suffix('"'));
    let is_known = opaque.is_some_and(|opaque| Tags::parse(if_none_match).name(opaque, false));
    if is_known && matches!(response.status(), StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
        response.set_status(StatusCode::NOT_MODIFIED);
        drop(response.take_body());
        for name in [header::CONTENT_LENGTH, header::CONTENT_RANGE, header::CONTENT_TYPE] {
            response.headers_mut().remove(name);
        }
    }
    response
}

/// A strong tag that names exactly this value.
pub fn tag_of_json(value: &impl serde::Serialize) -> String {
    let json = serde_json::to_vec(value).expect("what is answered is always JSON");
    tag_of(&json).to_str().expect("a tag is ASCII").to_owned()
}

/// A strong tag that names exactly these bytes.
pub fn tag_of(bytes: &[u8]) -> HeaderValue {
    use sha2::{Digest, Sha256};
    use std::fmt::Write;
    let mut tag = String::from("\"");
    for byte in &Sha256::digest(bytes)[..16] {
        // Writing to a string never fails.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    HeaderValue::try_from(tag).expect("hexadecimal digits are a header's value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(headers: &[(&str, &str)]) -> Precondition {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        of(&request.finish())
    }

    #[test]
    fn if_match_takes_our_strong_tags_only() {
        let versions = |text: &str| change(&[("If-Match", text)]).if_match;
        assert_eq!(change(&[]), Precondition::default());
        assert_eq!(versions("*"), Some(Versions::Any));
        assert_eq!(versions("\"3\", \"4\""), Some(Versions::OneOf(vec![3, 4])));
        assert_eq!(versions("\"a,b\",\"3\""), Some(Versions::OneOf(vec![3])));
        for odd in ["W/\"3\"", "3", "\"+3\"", "\"03\"", "\" 3\"", "\"3", "", "'3'", "**"] {
            assert_eq!(versions(odd), Some(Versions::OneOf(vec![])), "{odd}");
        }
    }

    #[test]
    fn if_none_match_takes_weak_tags_too() {
        let versions = |text: &str| change(&[("If-None-Match", text)]).if_none_match;
        assert_eq!(versions("W/\"3\", \"4\""), Some(Versions::OneOf(vec![3, 4])));
        assert_eq!(versions("*"), Some(Versions::Any));
    }

    #[test]
    fn what_is_known_is_not_sent_again() {
        let answer = || Response::builder().header("ETag", "\"abc\"").header("Vary", "origin").body("text");
        for known in ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*"] {
            let spared = spare(known, answer());
            assert_eq!(spared.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(
                (&spared.headers()["etag"], &spared.headers()["vary"]),
                (&"\"abc\"".into_value(), &"origin".into_value())
            );
        }
        for other in ["\"ab\"", "abc", "\"abc", ""] {
            assert_eq!(spare(other, answer()).status(), StatusCode::OK, "{other}");
        }
        assert_eq!(spare("*", Response::builder().body("no tag")).status(), StatusCode::OK);
    }

    trait IntoValue {
        fn into_value(self) -> HeaderValue;
    }

    impl IntoValue for &'static str {
        fn into_value(self) -> HeaderValue {
            HeaderValue::from_static(self)
        }
    }
}
