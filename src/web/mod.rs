//! The pages for people: the live board, the event monitor, and the API's documentation. All files
//! are in the binary. No page loads anything from another host, and none runs inline code.

use std::sync::LazyLock;

use poem::endpoint::make_sync;
use poem::http::{HeaderValue, header};
use poem::{Endpoint, Response, Route, get};

use crate::api::conditional;
use crate::api::spec;

/// Allows nothing inline, nothing from other origins, and no frame around the page.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                           connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// Swagger UI writes style attributes.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                           img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                           form-action 'self'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! assets {
    ($($folder:literal { $($name:literal: $kind:ident,)+ })+) => {
        /// Every file under `/assets/`.
        const ASSETS: &[(&str, &str, &str)] = &[
            $($( (concat!("/assets/", $name), $kind, include_str!(concat!($folder, "/", $name))), )+)+
        ];
    };
}

assets! {
    "board" {
        "board-card.js": SCRIPT,
        "board-store.js": SCRIPT,
        "board-view.js": SCRIPT,
        "board.css": CSS,
        "board.js": SCRIPT,
        "chevron.svg": SVG,
        "log-tail.js": SCRIPT,
        "move.svg": SVG,
        "task-dialog.js": SCRIPT,
        "task-drawer.js": SCRIPT,
        "task-history.js": SCRIPT,
        "terminal-text.js": SCRIPT,
    }
    "docs" {
        "docs.js": SCRIPT,
    }
    "monitor" {
        "monitor-log.js": SCRIPT,
        "monitor.css": CSS,
        "monitor.js": SCRIPT,
    }
    "shared" {
        "access.js": SCRIPT,
        "api.js": SCRIPT,
        "dom.js": SCRIPT,
        "icon.svg": SVG,
        "marks.js": SCRIPT,
        "places.js": SCRIPT,
        "sequence.js": SCRIPT,
        "stream.js": SCRIPT,
        "theme.css": CSS,
        "toast.js": SCRIPT,
    }
}

/// From npm's swagger-ui-dist; `swagger-ui/update` installs another version.
const SWAGGER_UI: &str = include_str!("swagger-ui/swagger-ui-bundle.js");
const SWAGGER_UI_STYLE: &str = include_str!("swagger-ui/swagger-ui.css");

/// Pages that are not in [`ASSETS`].
const PAGES: [&str; 8] = [
    "/",
    "/test_sse.html",
    "/docs",
    "/assets/swagger-ui.js",
    "/assets/swagger-ui.css",
    "/openapi.json",
    "/openapi.yaml",
    "/favicon.ico",
];

/// Whether `path` is a page: a file that is the same for everybody.
pub fn is_page(path: &str) -> bool {
    paths().any(|page| page == path)
}

/// The paths of all pages.
pub fn paths() -> impl Iterator<Item = &'static str> {
    PAGES.into_iter().chain(ASSETS.iter().map(|(path, _, _)| *path))
}

/// Adds every page to `routes`.
pub fn add_to(mut routes: Route) -> Route {
    for (path, kind, text) in ASSETS {
        routes = routes.at(path, get(text_page(kind, text, None)));
    }
    routes
        .at("/", get(text_page(HTML, include_str!("board/board.html"), Some(PAGE_POLICY))))
        .at("/test_sse.html", get(text_page(HTML, include_str!("monitor/monitor.html"), Some(PAGE_POLICY))))
        .at("/docs", get(text_page(HTML, include_str!("docs/docs.html"), Some(DOCS_POLICY))))
        .at("/assets/swagger-ui.js", get(text_page(SCRIPT, SWAGGER_UI, None)))
        .at("/assets/swagger-ui.css", get(text_page(CSS, SWAGGER_UI_STYLE, None)))
        .at("/openapi.json", get(text_page("application/json", &JSON, None)))
        .at("/openapi.yaml", get(text_page("application/yaml", &YAML, None)))
        .at("/favicon.ico", get(text_page(SVG, include_str!("shared/icon.svg"), None)))
}

static JSON: LazyLock<String> = LazyLock::new(spec::json);
static YAML: LazyLock<String> = LazyLock::new(spec::yaml);

fn text_page(kind: &'static str, text: &'static str, policy: Option<&'static str>) -> impl Endpoint {
    let tag = conditional::tag_of(text.as_bytes());
    make_sync(move |_| {
        let mut response = Response::builder().content_type(kind).body(text);
        let headers = response.headers_mut();
        headers.insert(header::ETAG, tag.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Some(policy) = policy {
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        }
        response
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swagger_ui_is_in_the_binary() {
        assert!(SWAGGER_UI.contains("SwaggerUIBundle"));
        assert!(SWAGGER_UI_STYLE.contains(".swagger-ui"));
    }

    #[test]
    fn no_page_runs_inline_code_or_asks_another_host() {
        for page in [
            include_str!("board/board.html"),
            include_str!("monitor/monitor.html"),
            include_str!("docs/docs.html"),
        ] {
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
}
