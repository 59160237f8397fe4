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
use asset::{ASSETS, AssetPage};
use specification_page::SpecificationPage;

/// Pages that are not in [`ASSETS`].
const OTHERS: [&str; 3] = ["/openapi.json", "/openapi.yaml", "/favicon.ico"];

/// Whether `path` is a page: a file that is the same for everybody.
pub fn is_page(path: &str) -> bool {
    #[cfg(debug_assertions)]
    if from_disk::folder().is_some() && path.starts_with("/assets/") {
        return true;
    }
    paths().any(|page| page == path)
}

/// The paths of all pages.
pub fn paths() -> impl Iterator<Item = &'static str> {
    OTHERS.into_iter().chain(ASSETS.iter().map(|asset| asset.path))
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
    routes
        .at("/openapi.json", get(SpecificationPage::json()))
        .at("/openapi.yaml", get(SpecificationPage::yaml()))
        .at("/favicon.ico", get(icon()))
}

fn icon() -> BoxEndpoint<'static> {
    let icon = ASSETS.iter().find(|asset| asset.name == "icon.svg").expect("the pages have an icon");
    AssetPage::named_for_good(icon, false).boxed()
}
