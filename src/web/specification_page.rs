//! The specification as a page: made when it is first asked for, and then kept, also with gzip.

use std::io::Write;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use poem::http::{HeaderValue, header};
use poem::{Endpoint, Request, Response};

use crate::api::{conditional, spec};

use super::asset::takes;

static JSON: LazyLock<Forms> = LazyLock::new(|| Forms::of(spec::json()));
static YAML: LazyLock<Forms> = LazyLock::new(|| Forms::of(spec::yaml()));

struct Forms {
    text: String,
    gzip: Vec<u8>,
    tag: HeaderValue,
    gzip_tag: HeaderValue,
}

impl Forms {
    fn of(text: String) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let whole = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
        let gzip = whole.expect("memory takes every byte");
        let (tag, gzip_tag) = (conditional::tag_of(text.as_bytes()), conditional::tag_of(&gzip));
        Self { text, gzip, tag, gzip_tag }
    }
}

/// Serves one format of the specification.
pub struct SpecificationPage {
    kind: &'static str,
    forms: &'static LazyLock<Forms>,
}

impl SpecificationPage {
    pub fn json() -> Self {
        Self { kind: "application/json", forms: &JSON }
    }

    pub fn yaml() -> Self {
        Self { kind: "application/yaml", forms: &YAML }
    }
}

impl Endpoint for SpecificationPage {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let forms = LazyLock::force(self.forms);
        let is_gzip = takes(request.headers(), "gzip");
        let builder = Response::builder()
            .content_type(self.kind)
            .header(header::CACHE_CONTROL, "no-cache")
            .header(header::VARY, "accept-encoding");
        Ok(match is_gzip {
            true => builder
                .header(header::ETAG, &forms.gzip_tag)
                .header(header::CONTENT_ENCODING, "gzip")
                .body(&forms.gzip[..]),
            false => builder.header(header::ETAG, &forms.tag).body(&forms.text[..]),
        })
    }
}
