//! Holds the source to two rules: no file imports one that leads back to it, and no file grows without a reason.
//!
//! A `mod.rs` declares its parts, and may hand on what they have: neither is an import. What is imported through it is an
//! import of the part that has it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemUse, UseTree, Visibility};

/// Beyond this a file says in its `//!` why it is as long.
const LINES_MAX: usize = 400;
const MEDIAN_LINES_MAX: usize = 150;

/// A path, as it is written.
type Names = Vec<String>;
/// A module, by the names that lead to it from the root.
type Module = Vec<String>;

#[derive(Debug, Default)]
struct Source {
    /// What it imports, and the paths that it names otherwise.
    used: Vec<Names>,
    /// What it hands on, by the name under which it does.
    reexported: BTreeMap<String, Names>,
}

fn is_test(attributes: &[Attribute]) -> bool {
    let is_cfg_test = |it: &Attribute| {
        it.path().is_ident("cfg") && it.parse_args::<syn::Ident>().is_ok_and(|it| it == "test")
    };
    attributes.iter().any(is_cfg_test)
}

/// The paths of a tree, each with the name that it gets.
fn leaves(tree: &UseTree, before: &[String], found: &mut Vec<(String, Names)>) {
    let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
    match tree {
        UseTree::Path(path) => leaves(&path.tree, &with(&path.ident), found),
        UseTree::Group(group) => group.items.iter().for_each(|it| leaves(it, before, found)),
        UseTree::Name(name) if name.ident == "self" => {
            found.push((before.last().cloned().unwrap_or_default(), before.to_vec()));
        }
        UseTree::Name(name) => found.push((name.ident.to_string(), with(&name.ident))),
        UseTree::Rename(rename) => found.push((rename.rename.to_string(), with(&rename.ident))),
        UseTree::Glob(_) => found.push(("*".to_owned(), before.to_vec())),
    }
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item(&mut self, item: &'ast Item) {
        if !matches!(item, Item::Mod(module) if is_test(&module.attrs)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let mut found = Vec::new();
        leaves(&item.tree, &[], &mut found);
        match item.vis {
            Visibility::Inherited => self.used.extend(found.into_iter().map(|(_, path)| path)),
            _ => self.reexported.extend(found),
        }
    }

    /// `pub(in crate::events)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if ["crate", "super", "self"].contains(&names[0].as_str()) {
            self.used.push(names);
        }
        visit::visit_path(self, path);
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => files(&path, found),
            false if path.extension().is_some_and(|it| it == "rs") => found.push(path),
            false => {}
        }
    }
}

fn module_of(file: &Path) -> Module {
    let inside = file.strip_prefix(root()).expect("inside src").with_extension("");
    let mut names: Module = inside.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if ["mod", "lib"].contains(&names.last().expect("a name").as_str()) {
        names.pop();
    }
    names
}

fn sources() -> BTreeMap<Module, Source> {
    let mut found = Vec::new();
    files(&root(), &mut found);
    let read = |file: &PathBuf| {
        let parsed = syn::parse_file(&fs::read_to_string(file).expect("UTF-8")).expect("Rust");
        let mut source = Source::default();
        source.visit_file(&parsed);
        (module_of(file), source)
    };
    let is_program = |file: &&PathBuf| !file.ends_with("main.rs") && !file.ends_with("tests.rs");
    found.iter().filter(is_program).map(read).collect()
}

/// The module that has what a path written in `from` names, as far as it is ours.
fn target(path: &[String], from: &[String], sources: &BTreeMap<Module, Source>) -> Option<Module> {
    let mut module = from.to_vec();
    let mut rest = path;
    match rest.first()?.as_str() {
        "crate" => (module, rest) = (Module::new(), &rest[1..]),
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|name| name == "super") {
                module.pop();
                rest = &rest[1..];
            }
        }
        part if sources.contains_key(&[from, &[part.to_owned()]].concat()) => {}
        _ => return None,
    }
    while let Some(name) = rest.first() {
        let deeper = [&module[..], std::slice::from_ref(name)].concat();
        if !sources.contains_key(&deeper) {
            break;
        }
        (module, rest) = (deeper, &rest[1..]);
    }
    if let Some(name) = rest.first()
        && let Some(handed_on) = sources.get(&module)?.reexported.get(name)
        && handed_on[..] != *path
    {
        return target(handed_on, &module, sources).or(Some(module));
    }
    Some(module)
}

fn imports(sources: &BTreeMap<Module, Source>) -> BTreeMap<&Module, BTreeSet<Module>> {
    let of = |(module, source): (&Module, &Source)| -> BTreeSet<Module> {
        let targets = source.used.iter().filter_map(|path| target(path, module, sources));
        targets.filter(|target| target != module).collect()
    };
    sources.iter().map(|entry| (entry.0, of(entry))).collect()
}

/// A way from a module back to it.
fn circle(from: &Module, imports: &BTreeMap<&Module, BTreeSet<Module>>) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut open = vec![vec![from.clone()]];
    while let Some(way) = open.pop() {
        for next in &imports[way.last().expect("a way has a beginning")] {
            let mut way = way.clone();
            way.push(next.clone());
            if next == from {
                return Some(way.iter().map(|module| module.join("/")).collect());
            }
            if seen.insert(next.clone()) {
                open.push(way);
            }
        }
    }
    None
}

#[test]
fn no_file_leads_back_to_itself() {
    let sources = sources();
    let imports = imports(&sources);
    let count: usize = imports.values().map(BTreeSet::len).sum();
    assert!(count > 400, "the imports were found: {count}");
    let circles: Vec<_> = sources.keys().filter_map(|module| circle(module, &imports)).collect();
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn files_are_short_or_say_why_not() {
    let mut found = Vec::new();
    files(&root(), &mut found);
    let mut lengths = Vec::new();
    for file in found {
        let text = fs::read_to_string(&file).expect("UTF-8");
        let lines = text.lines().count();
        let head: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        assert!(lines <= LINES_MAX || head.contains("# Length"), "{} has {lines} lines", file.display());
        lengths.push(lines);
    }
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median <= MEDIAN_LINES_MAX, "{median}");
}

#[test]
fn a_circle_is_found_also_through_what_is_handed_on() {
    let parse = |text: &str| {
        let mut source = Source::default();
        source.visit_file(&syn::parse_file(text).expect("Rust"));
        source
    };
    let module = |path: &str| path.split('/').map(str::to_owned).collect::<Module>();
    let of = |files: &[(&str, &str)]| {
        let sources: BTreeMap<_, _> = files.iter().map(|(path, text)| (module(path), parse(text))).collect();
        let imports = imports(&sources);
        sources.keys().filter_map(|module| circle(module, &imports)).count()
    };
    assert_eq!(of(&[("a", "mod b; pub use b::B;"), ("a/b", "use super::c::C;"), ("a/c", "struct C;")]), 0);
    let through =
        [("a", "pub use b::B; pub use c::C;"), ("a/b", "use super::C;"), ("a/c", "use crate::a::B;")];
    assert_eq!(of(&through), 2);
    assert_eq!(of(&[("a", "use b::run;"), ("a/b", "fn run() { super::other() }")]), 2);
    assert_eq!(of(&[("a", "use b::run;"), ("a/b", "#[cfg(test)] mod tests { use crate::a; }")]), 0);
}
