//! The one error of this module: what is wrong, where it was written, why, and what to do instead.

use std::fmt;

/// The kinds of configuration mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigErrorKind {
    /// A file or string that does not follow its grammar.
    Syntax,
    /// An option that neither Ceph nor ringbd has.
    UnknownOption,
    /// A value that its option cannot take.
    InvalidValue,
    /// A pool, namespace, image or snapshot name that cannot be one.
    InvalidName,
    /// A configuration file that was asked for and does not exist.
    MissingFile,
    /// A configuration file that exists and cannot be read.
    UnreadableFile,
    /// Metavariables that expand into themselves, or without end.
    ExpansionLoop,
}

/// A configuration mistake. Prints as one line: `subject (place): reason (hint)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    kind: ConfigErrorKind,
    subject: String,
    place: String,
    reason: String,
    hint: Option<String>,
    errno: i32,
}

/// The result of everything here that can meet a mistake.
pub type Result<T, E = ConfigError> = std::result::Result<T, E>;

const ENOENT: i32 = 2;
const EIO: i32 = 5;
const EINVAL: i32 = 22;

impl ConfigError {
    pub(super) fn new(
        kind: ConfigErrorKind,
        subject: impl Into<String>,
        place: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        let errno = match kind {
            ConfigErrorKind::MissingFile => ENOENT,
            ConfigErrorKind::UnreadableFile => EIO,
            ConfigErrorKind::Syntax
            | ConfigErrorKind::UnknownOption
            | ConfigErrorKind::InvalidValue
            | ConfigErrorKind::InvalidName
            | ConfigErrorKind::ExpansionLoop => EINVAL,
        };
        Self { kind, subject: subject.into(), place: place.into(), reason: reason.into(), hint: None, errno }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    pub(super) fn errno_of(mut self, error: &std::io::Error) -> Self {
        self.errno = error.raw_os_error().unwrap_or(self.errno);
        self
    }

    /// What kind of mistake it is.
    #[must_use]
    pub fn kind(&self) -> ConfigErrorKind {
        self.kind
    }

    /// The option, name or file that is wrong.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Where it was written: `file:line`, `column 12 of …`, `CEPH_ARGS` and so on.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Why it is wrong.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What to write instead, near matches first.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The positive errno that librbd would answer with.
    #[must_use]
    pub fn errno(&self) -> i32 {
        self.errno
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.subject)?;
        if !self.place.is_empty() {
            write!(f, " ({})", self.place)?;
        }
        write!(f, ": {}", self.reason)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// How many near matches an error names: more than three is a list to read, not a hint.
const NEAR_MATCHES_MAX: usize = 3;

/// The candidates that `word` was probably meant to be, nearest first.
pub(crate) fn near_matches<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    // One slip in three letters is still a typing mistake; beyond that a suggestion misleads.
    let distance_max = (word.chars().count() / 3).clamp(1, 6);
    let folded = word.to_ascii_lowercase();
    let mut near: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= distance_max)
        .map(|candidate| (strsim::damerau_levenshtein(&folded, candidate), candidate))
        .filter(|&(distance, _)| distance <= distance_max)
        .collect();
    near.sort_unstable();
    let nearest = near.first().map_or(0, |&(distance, _)| distance);
    // A candidate more than one slip worse than the best one is noise.
    near.into_iter()
        .take_while(|&(distance, _)| distance <= nearest + 1)
        .take(NEAR_MATCHES_MAX)
        .map(|(_, candidate)| candidate)
        .collect()
}

/// `did you mean a, b or c?`, or nothing when nothing is near.
pub(crate) fn did_you_mean(near: &[&str]) -> Option<String> {
    let (last, others) = near.split_last()?;
    Some(if others.is_empty() {
        format!("did you mean {last}?")
    } else {
        format!("did you mean {} or {last}?", others.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_matches_come_nearest_first_and_far_ones_not_at_all() {
        let names = ["rbd_cache", "rbd_cache_size", "rbd_cache_policy", "mon_host"];
        assert_eq!(near_matches("rbd_cach", names), ["rbd_cache"]);
        assert_eq!(near_matches("RBD_Cache_Sise", names), ["rbd_cache_size"]);
        assert!(near_matches("zzzzzzzz", names).is_empty());
        assert!(near_matches("", names).is_empty());
    }

    #[test]
    fn an_error_is_one_line_with_subject_place_reason_and_hint() {
        let error =
            ConfigError::new(ConfigErrorKind::UnknownOption, "option x", "f:1", "unknown").hint("use y");
        assert_eq!(error.to_string(), "option x (f:1): unknown (use y)");
        assert_eq!(error.errno(), 22);
        assert_eq!(did_you_mean(&["a", "b", "c"]).as_deref(), Some("did you mean a, b or c?"));
        assert_eq!(did_you_mean(&[]), None);
    }
}
