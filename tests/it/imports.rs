//! Holds the code to the table of rooms in `src/lib.rs`: who may import whom.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What a room may use besides itself and the leaves.
const ALLOWED: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("store", &["domain"]),
    ("events", &["domain", "store"]),
    ("index", &["domain"]),
    ("service", &["domain", "store", "index"]),
    ("executor", &["domain", "service", "events"]),
    ("auth", &["domain", "store"]),
    ("api", &["domain", "store", "service", "events", "executor", "auth"]),
    ("mcp", &["domain", "store", "service", "events", "executor", "auth", "api"]),
    ("web", &["api"]),
    ("edge", &["domain", "service", "auth", "api", "mcp", "web"]),
    ("client", &["domain"]),
    ("server", &["shutdown"]),
    ("shutdown", &[]),
    ("telemetry", &[]),
    ("user_timeout", &[]),
    ("vitals", &[]),
    ("close_reason", &[]),
    ("config", &[]),
    ("data_dir", &[]),
    ("exec_root", &[]),
    ("handoff", &[]),
    ("metrics", &[]),
    ("open_files", &[]),
    ("quota", &[]),
    ("process", &[]),
];

/// Leaves: everybody may use them.
const LEAVES: &[&str] = &[
    "config",
    "data_dir",
    "exec_root",
    "handoff",
    "metrics",
    "open_files",
    "close_reason",
    "quota",
    "process",
    "telemetry",
    "user_timeout",
    "vitals",
];
/// The roots: they may use everything.
const ROOTS: &[&str] = &["app", "cli", "main", "lib"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

/// The rooms that a file names after `crate::`, also in braces.
fn rooms_named(text: &str) -> BTreeSet<String> {
    let word =
        |text: &str| -> String { text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let code =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut rooms = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with('$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => drop(rooms.insert(word(rest))),
            Some(list) => {
                let list = list.split_once("};").map_or(list, |(list, _)| list);
                let mut depth = 0;
                let mut start = true;
                for (at, c) in list.char_indices() {
                    if depth == 0 && start && c.is_alphanumeric() {
                        rooms.insert(word(&list[at..]));
                        start = false;
                    }
                    match c {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        _ => {}
                    }
                }
            }
        }
    }
    rooms
}

#[test]
fn rooms_use_only_what_they_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 30, "the sources were found");
    let mut wrong = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&root).expect("inside src");
        let first = inside.components().next().expect("a part").as_os_str().to_string_lossy();
        let room = first.trim_end_matches(".rs");
        if ROOTS.contains(&room) {
            continue;
        }
        let may = allowed.get(room).unwrap_or_else(|| panic!("the room {room} is not in the table"));
        for used in rooms_named(&fs::read_to_string(&file).expect("UTF-8")) {
            if used != room && !may.contains(&used.as_str()) && !LEAVES.contains(&used.as_str()) {
                wrong.push(format!("{} uses {used}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn http_and_sql_stay_in_their_rooms() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for file in files {
        let inside = file.strip_prefix(&root).expect("inside src").to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).expect("UTF-8");
        if !["api/", "edge/", "mcp/", "web/", "server/"].iter().any(|room| inside.starts_with(room)) {
            assert!(!text.contains("poem::"), "{inside} knows HTTP");
        }
        if !inside.starts_with("store/") {
            assert!(!text.contains("rusqlite"), "{inside} knows SQL");
        }
    }
}

#[test]
fn imports_are_read_in_every_form() {
    let rooms =
        rooms_named("use crate::{store::{Tx, Reader}, http};\nuse crate::domain::task;\n// crate::app\n");
    assert_eq!(rooms, ["domain", "http", "store"].map(str::to_owned).into());
}
