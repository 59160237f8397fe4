//! The pages for people: the live board, the event monitor, and the API's documentation. All files
//! are in the binary. No page loads anything from another host, and none runs inline code.
//!
//! `build.mjs` makes the files in `dist/` from the TypeScript beside this file, and `dist/` is
//! committed, so a build of the hub needs no Node. A check of `tests/run` says that it is current.
//! The pages use no framework: a board with thousands of cards and a log with millions of lines
//! recycle their elements by hand, and `shared/dom.ts` has no way to put text in as markup.

mod asset;
#[cfg(debug_assertions)]
mod from_disk;
mod specification_page;

use poem::endpoint::BoxEndpoint;
use poem::{EndpointExt, Route, get};

pub use asset::takes as takes_coding;
use asset::{ASSETS, Asset, AssetPage};
use specification_page::SpecificationPage;

/// Pages that are not in [`ASSETS`].
const OTHERS: [&str; 3] = ["/openapi.json", "/openapi.yaml", "/favicon.ico"];

/// The views of the board, each at a path of its own: one page, which shows what the path names.
const VIEWS: [&str; 3] = ["/list", "/runs", "/hub"];
/// A task as a page: `/t/web-12`. Whether the task exists, the page finds out.
const TASK_PAGE: &str = "/t/";

/// Whether `path` is a page: a file that is the same for everybody.
pub fn is_page(path: &str) -> bool {
    if path.strip_prefix(TASK_PAGE).is_some_and(|task| !task.is_empty() && !task.contains('/')) {
        return true;
    }
    #[cfg(debug_assertions)]
    if from_disk::folder().is_some() && path.starts_with("/assets/") {
        return true;
    }
    paths().any(|page| page == path)
}

/// The paths of all pages.
pub fn paths() -> impl Iterator<Item = &'static str> {
    OTHERS.into_iter().chain(VIEWS).chain(ASSETS.iter().map(|asset| asset.path))
}

/// Adds every page to `routes`.
pub fn add_to(mut routes: Route) -> Route {
    #[cfg(debug_assertions)]
    if let Some(folder) = from_disk::folder() {
        routes = routes.at("/assets/:name", get(from_disk::AssetsOnDisk { folder: folder.clone() }));
    }
    for asset in ASSETS {
        #[cfg(debug_assertions)]
        if let Some(folder) = from_disk::folder() {
            if !asset.path.starts_with("/assets/") {
                let page = from_disk::PageOnDisk { folder: folder.clone(), asset };
                routes = routes.at(asset.path, get(page));
            }
            continue;
        }
        routes = routes.at(asset.path, get(AssetPage::new(asset)));
    }
    for path in VIEWS.into_iter().map(str::to_owned).chain([format!("{TASK_PAGE}:task")]) {
        #[cfg(debug_assertions)]
        if let Some(folder) = from_disk::folder() {
            let page = from_disk::PageOnDisk { folder: folder.clone(), asset: board() };
            routes = routes.at(path, get(page));
            continue;
        }
        routes = routes.at(path, get(AssetPage::new(board())));
    }
    routes
        .at("/openapi.json", get(SpecificationPage::json()))
        .at("/openapi.yaml", get(SpecificationPage::yaml()))
        .at("/favicon.ico", get(icon()))
}

fn board() -> &'static Asset {
    ASSETS.iter().find(|asset| asset.path == "/").expect("the pages have a board")
}

fn icon() -> BoxEndpoint<'static> {
    let icon = ASSETS.iter().find(|asset| asset.name == "icon.svg").expect("the pages have an icon");
    AssetPage::named_for_good(icon, false).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_a_page_and_what_lies_beside_it_is_not() {
        for path in ["/", "/list", "/runs", "/hub", "/t/web-12", "/manifest.webmanifest", "/openapi.json"] {
            assert!(is_page(path), "{path}");
        }
        for path in ["/t/", "/t/web-12/logs", "/t", "/lists", "/api/tasks", "/metrics"] {
            assert!(!is_page(path), "{path}");
        }
    }
}
