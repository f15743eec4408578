//! Runs every fuzz target on a stable compiler: over its seeds, and over some thousand mutations of them.
//!
//! The mutations follow from one seed, so that a failure repeats; the input that failed is printed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "the file is a crate of its own to libFuzzer")]
mod targets;

/// Mutations of a target's seeds. Some seconds in all; libFuzzer is for more.
const MUTATIONS: usize = 4000;

/// The seed of the mutations. Any number; a fixed one, so that a failing test fails again.
const SEED: u64 = 0x7269_6e67;

/// The longest input; beyond it mutations are cut, to keep the test short.
const INPUT_BYTES_MAX: usize = 8192;

#[test]
fn every_target_holds_on_its_seeds_and_their_mutations() {
    for (name, target) in targets::TARGETS {
        let seeds = seeds(name);
        for seed in &seeds {
            run(name, *target, seed);
        }
        let mut random = fastrand::Rng::with_seed(SEED);
        for _ in 0..MUTATIONS {
            run(name, *target, &mutated(&seeds, &mut random));
        }
    }
}

#[test]
fn every_target_has_a_binary_seeds_and_a_row_in_the_readme() {
    let manifest =
        std::fs::read_to_string(fuzz_dir().join("Cargo.toml")).expect("the fuzz crate has a manifest");
    let readme = std::fs::read_to_string(fuzz_dir().join("README.md")).expect("the fuzz crate has a readme");
    for (name, _) in targets::TARGETS {
        let binary = format!("fuzz_targets/{name}.rs");
        let source = std::fs::read_to_string(fuzz_dir().join(&binary)).unwrap_or_default();
        assert!(source.contains(&format!("ringbd_fuzz::{name}(")), "{binary} does not call the target");
        assert!(manifest.contains(&format!("path = \"{binary}\"")), "Cargo.toml has no [[bin]] for {binary}");
        assert!(readme.contains(&format!("| `{name}` |")), "README.md has no row for {name}");
        assert!(!seeds(name).is_empty(), "corpus/{name} has no seed-* files");
    }
}

fn fuzz_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The committed inputs of a target, in the order of their names.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let dir = fuzz_dir().join("corpus").join(target);
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("the corpus is readable").path()).collect();
    paths.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("seed-")));
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a seed is readable")).collect()
}

fn run(name: &str, target: targets::Target, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        panic!("target {name} failed on {}", input.escape_ascii());
    }
}

/// A seed after a few changes: bytes flipped, removed or repeated, and pieces of other seeds put in.
fn mutated(seeds: &[Vec<u8>], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut input = random.choice(seeds).cloned().unwrap_or_default();
    for _ in 0..random.usize(1..8) {
        let at = random.usize(0..=input.len());
        let end = random.usize(at..=input.len().min(at + 16));
        match random.u8(0..5) {
            0 if at < input.len() => input[at] ^= 1 << random.u8(0..8),
            1 => drop(input.drain(at..end)),
            2 => {
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
            3 => input.insert(at, random.u8(..)),
            _ => {
                let other = random.choice(seeds).map(Vec::as_slice).unwrap_or_default();
                let from = random.usize(0..=other.len());
                let to = random.usize(from..=other.len().min(from + 32));
                input.splice(at..end, other[from..to].iter().copied());
            }
        }
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}
