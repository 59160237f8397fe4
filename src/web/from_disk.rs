//! Serves the built pages from a folder instead of the binary, so that a change of a page needs no
//! build of the hub. Only in debug builds, and only when `TASKHUB_WEB_DIR` names the folder:
//!
//! ```sh
//! TASKHUB_WEB_DIR=src/web/dist cargo run
//! ```

use std::path::PathBuf;
use std::sync::LazyLock;

use poem::http::{StatusCode, header};
use poem::{Endpoint, Request, Response};

use super::asset::Asset;

/// The folder that `TASKHUB_WEB_DIR` names.
pub fn folder() -> Option<&'static PathBuf> {
    static FOLDER: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| std::env::var_os("TASKHUB_WEB_DIR").map(PathBuf::from));
    FOLDER.as_ref()
}

/// A page at its own path.
pub struct PageOnDisk {
    pub folder: PathBuf,
    pub asset: &'static Asset,
}

impl Endpoint for PageOnDisk {
    type Output = Response;

    async fn call(&self, _: Request) -> poem::Result<Response> {
        Ok(read(&self.folder, self.asset.name, self.asset.policy()))
    }
}

/// Every file under `/assets/`, whatever the hash in its name.
pub struct AssetsOnDisk {
    pub folder: PathBuf,
}

impl Endpoint for AssetsOnDisk {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let path = request.uri().path().trim_start_matches("/assets/");
        let (stem, end) = path.rsplit_once('.').unwrap_or((path, ""));
        let stem = stem.rsplit_once('-').map_or(stem, |(stem, _)| stem);
        let policy = super::asset::ASSETS[0].policy();
        Ok(read(&self.folder, &format!("{stem}.{end}"), policy))
    }
}

fn read(folder: &std::path::Path, name: &str, policy: &str) -> Response {
    let kind = match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "webmanifest")) => "application/manifest+json",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        _ => "image/svg+xml",
    };
    match std::fs::read(folder.join(name.replace('/', ""))) {
        Ok(bytes) => Response::builder()
            .content_type(kind)
            .header(header::CACHE_CONTROL, "no-cache")
            .header(header::CONTENT_SECURITY_POLICY, policy)
            .body(bytes),
        Err(error) => Response::builder().status(StatusCode::NOT_FOUND).body(error.to_string()),
    }
}
