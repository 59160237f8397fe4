//! The directories in which scripts may work besides their own: those that the operator named with
//! `--exec-root`.
//!
//! Both the path and the roots are resolved, with all links, at each check. The hub checks when an
//! execution is requested, to tell the caller. The shim checks again before it changes to the
//! directory. This guards against mistakes, and against people who may start scripts that others
//! wrote. A script itself can go wherever its user can.

use std::path::{Path, PathBuf};

/// The directory that `cwd` resolves to, if it is a root or within one.
pub fn resolve(cwd: &Path, roots: &[PathBuf]) -> Option<PathBuf> {
    let real = cwd.canonicalize().ok().filter(|real| real.is_dir())?;
    let is_inside = |root: &PathBuf| root.canonicalize().is_ok_and(|root| real.starts_with(root));
    roots.iter().any(is_inside).then_some(real)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_what_really_lies_in_a_root_is_let_in() {
        let place = tempfile::tempdir().expect("a directory");
        let at = |path: &str| place.path().join(path);
        for path in ["root/inner", "rootless", "outside"] {
            fs::create_dir_all(at(path)).expect("made");
        }
        fs::write(at("root/file"), "").expect("written");
        symlink(at("outside"), at("root/out")).expect("linked");
        symlink(at("root"), at("in")).expect("linked");
        let roots = [at("missing"), at("root")];
        let real = place.path().canonicalize().expect("there");
        for (cwd, expected) in [
            ("root", Some("root")),
            ("root/inner", Some("root/inner")),
            ("in/inner", Some("root/inner")),
            ("root/out", None),
            ("root/inner/../../outside", None),
            ("rootless", None),
            ("root/file", None),
            ("root/new", None),
            ("missing", None),
            ("", None),
        ] {
            assert_eq!(resolve(&at(cwd), &roots), expected.map(|path| real.join(path)), "{cwd}");
        }
        assert_eq!(resolve(&at("root"), &[]), None);
    }
}
