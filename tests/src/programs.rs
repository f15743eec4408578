//! Programs that tests run: our own command, and those of others where they are installed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The `ringbd` command of the profile that the tests are built in, built now so that it is never an old one.
pub fn ringbd() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let test = std::env::current_exe().expect("a process knows its file");
        let profile = test.parent().and_then(Path::parent).expect("tests are built in PROFILE/deps");
        let mut build = Command::new(env!("CARGO"));
        build
            .args(["build", "--quiet", "--package", "ringbd-bench"])
            .env("CARGO_TARGET_DIR", profile.parent().expect("a profile has a folder in target"));
        if profile.ends_with("release") {
            build.arg("--release");
        }
        let status = build.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo starts");
        assert!(status.success(), "the command is built");
        profile.join("ringbd")
    })
}

/// Whether all `programs` of a Debian package start. Where one does not, the caller passes without having tested anything,
/// which is said; in the gate (`CI=true`) it fails.
pub fn installed(programs: &[&str], package: &str) -> bool {
    for program in programs {
        if let Err(error) = Command::new(program).arg("--help").output() {
            let missing = format!("{program} does not start: {error} (install {package})");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
            eprintln!("skipped: {missing}");
            return false;
        }
    }
    true
}

/// What a program says in UTC: on its standard output, on both channels, and whether it ended well.
#[derive(Debug)]
pub struct Said {
    /// On the standard output.
    pub out: String,
    /// There and among the errors.
    pub all: String,
    /// Whether it ended well.
    pub good: bool,
}

/// Runs a program in a folder.
pub fn run(program: impl AsRef<OsStr>, args: &[impl AsRef<OsStr>], dir: &Path) -> Said {
    let output = Command::new(program.as_ref()).args(args).current_dir(dir).env("TZ", "UTC").output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.as_ref().display()));
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let all = out.clone() + &String::from_utf8_lossy(&output.stderr);
    Said { out, all, good: output.status.success() }
}
