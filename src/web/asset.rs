//! One built file as it is served: whole, with brotli or with gzip, each made at build time.
//!
//! A file under `/assets/` has a hash of its content in its name, so a browser keeps it for good.
//! A page has a lasting name, so a browser asks each time whether it has changed.

use poem::http::{HeaderMap, HeaderValue, header};
use poem::{Endpoint, Request, Response};

use crate::api::conditional;

/// Allows nothing inline, nothing from other origins, and no frame around the page. A worker has
/// the policy of its own file, so files have one, too.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                           connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
                           frame-ancestors 'none'";
/// Swagger UI writes style attributes.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                           img-src 'self' data:; font-src 'self' data:; connect-src 'self'; manifest-src 'self'; \
                           base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A file of `dist/`.
#[derive(Debug)]
pub struct Asset {
    pub path: &'static str,
    /// On disk, without the hash.
    pub name: &'static str,
    pub kind: &'static str,
    pub bytes: &'static [u8],
    pub brotli: Option<&'static [u8]>,
    pub gzip: Option<&'static [u8]>,
}

/// Every page, and every file under `/assets/`.
pub const ASSETS: &[Asset] = &include!("dist/assets.in");

impl Asset {
    pub fn policy(&self) -> &'static str {
        if self.path == "/docs" { DOCS_POLICY } else { PAGE_POLICY }
    }
}

/// Whether the client takes `coding`: named, and not with the weight 0. RFC 9110, section 12.5.3.
pub fn takes(headers: &HeaderMap, coding: &str) -> bool {
    headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|it| it.to_str().ok()).any(|text| {
        text.split(',').any(|part| {
            let (name, weight) = part.split_once(';').unwrap_or((part, ""));
            let is_zero = weight.trim().strip_prefix("q=").and_then(|it| it.parse::<f32>().ok()) == Some(0.0);
            name.trim().eq_ignore_ascii_case(coding) && !is_zero
        })
    })
}

/// One form of a file, with its own tag: the bytes differ.
struct Form {
    coding: Option<&'static str>,
    bytes: &'static [u8],
    tag: HeaderValue,
}

/// Serves an [`Asset`].
pub struct AssetPage {
    asset: &'static Asset,
    /// The best first; the whole file last.
    forms: Vec<Form>,
    caching: &'static str,
}

impl AssetPage {
    pub fn new(asset: &'static Asset) -> Self {
        Self::named_for_good(asset, asset.path.starts_with("/assets/"))
    }

    pub fn named_for_good(asset: &'static Asset, is_for_good: bool) -> Self {
        let forms = [(Some("br"), asset.brotli), (Some("gzip"), asset.gzip), (None, Some(asset.bytes))];
        let forms = forms.into_iter().filter_map(|(coding, bytes)| {
            bytes.map(|bytes| Form { coding, bytes, tag: conditional::tag_of(bytes) })
        });
        let caching = if is_for_good { "public, max-age=31536000, immutable" } else { "no-cache" };
        Self { asset, forms: forms.collect(), caching }
    }
}

impl Endpoint for AssetPage {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let headers = request.headers();
        let form = self.forms.iter().find(|form| form.coding.is_none_or(|coding| takes(headers, coding)));
        let form = form.expect("the whole file is among the forms");
        let mut response = Response::builder().content_type(self.asset.kind).body(form.bytes);
        let headers = response.headers_mut();
        headers.insert(header::ETAG, form.tag.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(self.caching));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(self.asset.policy()));
        if self.forms.len() > 1 {
            headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        if let Some(coding) = form.coding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swagger_ui_is_in_the_binary() {
        let has = |name: &str, word: &str| {
            let asset = ASSETS.iter().find(|it| it.name == name).expect(name);
            assert!(std::str::from_utf8(asset.bytes).expect("UTF-8").contains(word), "{name}");
        };
        has("swagger-ui.js", "SwaggerUIBundle");
        has("swagger-ui.css", ".swagger-ui");
    }

    #[test]
    fn no_page_runs_inline_code_or_asks_another_host() {
        let pages: Vec<_> = ASSETS.iter().filter(|it| it.kind.starts_with("text/html")).collect();
        assert_eq!(pages.len(), 3);
        for page in pages {
            let page = std::str::from_utf8(page.bytes).expect("UTF-8");
            for script in page.split("<script").skip(1) {
                assert!(script.contains(" src=\"/assets/"), "{script}");
                let (_, inside) = script.split_once('>').expect("a tag");
                assert!(inside.starts_with("</script>"), "{inside}");
            }
            for wrong in ["<style", " style=\"", " onclick=", " onload=", "javascript:", "=\"http", "=\"//"] {
                assert!(!page.contains(wrong), "{wrong}");
            }
        }
    }

    #[test]
    fn a_coding_is_taken_when_it_is_named_and_has_a_weight() {
        for (accepted, is_taken) in [
            ("gzip, deflate, br", true),
            ("BR;q=0.5", true),
            ("br; q=0", false),
            ("gzip", false),
            ("brotli", false),
            ("", false),
        ] {
            let headers =
                HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted))]);
            assert_eq!(takes(&headers, "br"), is_taken, "{accepted}");
        }
    }
}
