//! Style as a test: what CONTRIBUTING.md promises of the tree, and a machine can check.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

const LINES_MAX: usize = 800;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// The Rust files of the tree, by their path from the root.
fn rust_files() -> Vec<(String, String)> {
    fn walk(root: &Path, folder: &Path, files: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    walk(root, &path, files);
                }
            } else if name.ends_with(".rs") {
                let relative = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                files.push((relative, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut files = Vec::new();
    walk(&root(), &root(), &mut files);
    assert!(files.len() > 20, "the tree was found");
    files
}

fn offenders(what: &str, offends: impl Fn(&str, &str) -> bool) {
    let bad: Vec<_> =
        rust_files().into_iter().filter(|(path, text)| offends(path, text)).map(|(path, _)| path).collect();
    assert!(bad.is_empty(), "{what}: {bad:#?}");
}

#[test]
fn every_file_begins_by_saying_what_it_is() {
    offenders("no `//!` at the head", |_, text| {
        !text.trim_start_matches("#![no_main]").trim_start().starts_with("//!")
    });
}

#[test]
fn no_file_swallows_the_others() {
    offenders("too long", |_, text| text.lines().count() > LINES_MAX);
}

#[test]
fn unsafe_stays_where_it_is_allowed() {
    let unsafe_block = ["unsafe {", "unsafe fn", "unsafe impl"];
    offenders("unsafe outside the reactor and the fio plugin", |path, text| {
        let allowed = path.starts_with("engine/reactor/")
            || path.starts_with("fio-plugin/")
            || path.ends_with("tidy.rs");
        !allowed && unsafe_block.iter().any(|word| text.contains(word))
    });
}

#[test]
fn nothing_is_left_undone() {
    let words = ["todo!(", "unimplemented!(", "#[ignore", "FIXME", "XXX", "TODO"];
    offenders("unfinished", |path, text| {
        !path.ends_with("tidy.rs") && words.iter().any(|word| text.contains(word))
    });
}

#[test]
fn layers_point_one_way() {
    let forbidden = [
        ("engine/src/cache/", ["crate::store", "crate::rados", "crate::image", "crate::engine"].as_slice()),
        ("engine/src/store/", &["crate::cache", "crate::image", "crate::engine", "crate::rados"]),
        ("engine/src/config/", &["crate::cache::driver", "crate::image", "crate::engine", "crate::store"]),
        ("engine/reactor/src/", &["ringbd::"]),
    ];
    offenders("a lower layer that knows a higher one", |path, text| {
        forbidden
            .iter()
            .any(|(folder, words)| path.starts_with(folder) && words.iter().any(|word| text.contains(word)))
    });
}

#[test]
fn the_top_level_has_only_the_folders_of_the_layout() {
    let allowed = ["engine", "bench", "fio-plugin", "tests", "results", "target"];
    for entry in std::fs::read_dir(root()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() && !name.starts_with('.') {
            assert!(allowed.contains(&name.as_str()), "unexpected folder {name}");
        }
    }
}

#[test]
fn every_dependency_is_permissively_licensed() {
    let allowed = [
        "MIT",
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "Unicode-3.0",
        "Zlib",
        "Unlicense",
        "0BSD",
        "CC0-1.0",
        "BSL-1.0",
    ];
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50, "the dependencies were found");
    for package in packages {
        let licence =
            package["license"].as_str().unwrap_or("none").replace(['(', ')'], "").replace('/', " OR ");
        // Of alternatives one must be allowed; of licences that apply together, all.
        let permissive = licence
            .split(" OR ")
            .any(|choice| choice.split(" AND ").all(|one| allowed.contains(&one.trim())));
        // "(A OR B) AND C" reads as "A OR B AND C" above; where that is too strict, each part must be allowed.
        let parts = licence
            .split(" OR ")
            .flat_map(|part| part.split(" AND "))
            .all(|one| allowed.contains(&one.trim()));
        assert!(permissive || parts, "{} is under {licence}", package["name"]);
    }
}
