//! How an image is named: `rbd:pool[/namespace]/image[@snap][:option=value…]`, or plainly `pool/image@snap`.
//!
//! In the `rbd:` form `\` takes the special meaning from the character after it (`:`, `@`, `=`, `/` and `\` itself), in
//! names and in values, as QEMU reads it. The plain form is the `rbd` command's: no options, no escapes, and a bare
//! image is in the pool `rbd`. Printing gives the `rbd:` form, which always parses back to the same image.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::error::{ConfigError, ConfigErrorKind, Result};
use super::options::normalize_key;

/// The longest image string read. A command line holds 128 KiB an argument; no name or path comes near this.
const SPEC_BYTES_MAX: usize = 64 << 10;

/// The pool of an image that is named without one.
const DEFAULT_POOL: &str = "rbd";

/// An image, perhaps at a snapshot, with the options given along with its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageSpec {
    /// The pool.
    pub pool: String,
    /// The namespace inside the pool; `None` is the default one.
    pub namespace: Option<String>,
    /// The image.
    pub image: String,
    /// The snapshot; an image opened at one is read-only.
    pub snap: Option<String>,
    /// The options, in the order they were written.
    pub options: Vec<SpecOption>,
}

/// One `key=value` of an image string.
#[derive(Clone, Debug)]
pub struct SpecOption {
    /// The name, as written.
    pub key: String,
    /// The value, without escapes.
    pub value: String,
    /// The column of the image string that the name starts at, from 1; 0 when it was not parsed from one.
    pub column: usize,
}

/// Where an option was written is no part of what it says.
impl PartialEq for SpecOption {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.value == other.value
    }
}

impl Eq for SpecOption {}

impl std::hash::Hash for SpecOption {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.key, &self.value).hash(state);
    }
}

impl ImageSpec {
    /// An image without namespace, snapshot or options.
    #[must_use]
    pub fn new(pool: impl Into<String>, image: impl Into<String>) -> Self {
        Self { pool: pool.into(), namespace: None, image: image.into(), snap: None, options: Vec::new() }
    }

    /// The same image at a snapshot.
    #[must_use]
    pub fn at_snap(mut self, snap: impl Into<String>) -> Self {
        self.snap = Some(snap.into());
        self
    }

    /// The same image with one more option, which wins over an earlier one of the same name.
    #[must_use]
    pub fn with_option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.push(SpecOption { key: key.into(), value: value.into(), column: 0 });
        self
    }

    /// The value of an option; the last one wins, as when Ceph is told each in turn.
    #[must_use]
    pub fn option(&self, key: &str) -> Option<&str> {
        let found = self.options.iter().rev().find(|option| normalize_key(&option.key) == key);
        found.map(|option| option.value.as_str())
    }

    /// `id=`: the Ceph user, without `client.`.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.option("id")
    }

    /// `conf=`: the configuration file.
    #[must_use]
    pub fn conf(&self) -> Option<&str> {
        self.option("conf")
    }

    /// `keyring=`: the file of the user's key.
    #[must_use]
    pub fn keyring(&self) -> Option<&str> {
        self.option("keyring")
    }

    /// `ringbd_store=`: the directory of the embedded store.
    #[must_use]
    pub fn store(&self) -> Option<PathBuf> {
        self.option("ringbd_store").filter(|dir| !dir.is_empty()).map(PathBuf::from)
    }

    /// `pool[/namespace]/image[@snap]` for people to read: no options, no escapes.
    #[must_use]
    pub fn short(&self) -> String {
        let namespace = self.namespace.as_ref().map(|name| format!("{name}/")).unwrap_or_default();
        let snap = self.snap.as_ref().map(|name| format!("@{name}")).unwrap_or_default();
        format!("{}/{namespace}{}{snap}", self.pool, self.image)
    }
}

impl FromStr for ImageSpec {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() > SPEC_BYTES_MAX {
            let reason = format!("it is {} bytes long, the limit is {SPEC_BYTES_MAX}", text.len());
            return Err(ConfigError::new(ConfigErrorKind::Syntax, "image string", "", reason));
        }
        match text.strip_prefix("rbd:") {
            Some(_) => Parser::new(text, "rbd:".len()).image_string(),
            None => plain(text),
        }
    }
}

impl fmt::Display for ImageSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rbd:{}/", Escaped(&self.pool, NAME_SPECIALS))?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{}/", Escaped(namespace, NAME_SPECIALS))?;
        }
        write!(f, "{}", Escaped(&self.image, NAME_SPECIALS))?;
        if let Some(snap) = &self.snap {
            write!(f, "@{}", Escaped(snap, NAME_SPECIALS))?;
        }
        for SpecOption { key, value, .. } in &self.options {
            write!(f, ":{}={}", Escaped(key, NAME_SPECIALS), Escaped(value, VALUE_SPECIALS))?;
        }
        Ok(())
    }
}

const NAME_SPECIALS: &[char] = &[':', '@', '=', '/', '\\'];

/// A path in a value stays readable: `/` has no meaning there, to QEMU either.
const VALUE_SPECIALS: &[char] = &[':', '@', '=', '\\'];

struct Escaped<'a>(&'a str, &'a [char]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        self.0.chars().try_for_each(|c| {
            if self.1.contains(&c) {
                f.write_char('\\')?;
            }
            f.write_char(c)
        })
    }
}

/// The plain form: everything up to the last `@` is `pool/namespace/image`.
fn plain(text: &str) -> Result<ImageSpec> {
    let (path, snap) = match text.rsplit_once('@') {
        Some((path, snap)) => (path, Some(snap)),
        None => (text, None),
    };
    if let Some((name, options)) = text.split_once(':')
        && options.contains('=')
    {
        let error = syntax(text, name.len(), "options are only read after rbd:");
        return Err(error.hint(format!("write rbd:{text}, or rbd: with \\: where the name has a colon")));
    }
    let parts: Vec<&str> = path.split('/').collect();
    let (pool, namespace, image) = match parts[..] {
        [image] => (DEFAULT_POOL, None, image),
        [pool, image] => (pool, None, image),
        [pool, namespace, image] => (pool, Some(namespace), image),
        _ => {
            let column = parts[..3].iter().map(|part| part.len() + 1).sum::<usize>() - 1;
            return Err(syntax(text, column, "there are too many slashes").hint(SHAPE));
        }
    };
    let starts = [0, pool.len() + 1, path.len() - image.len(), path.len() + 1];
    let image_start = starts[2];
    check_name(text, 0, "pool", pool)?;
    if let Some(namespace) = namespace {
        check_name(text, starts[1], "namespace", namespace)?;
    }
    check_name(text, image_start, "image", image)?;
    if let Some(snap) = snap {
        check_name(text, starts[3], "snapshot", snap)?;
    }
    Ok(ImageSpec {
        pool: pool.to_owned(),
        namespace: namespace.map(str::to_owned),
        image: image.to_owned(),
        snap: snap.map(str::to_owned),
        options: Vec::new(),
    })
}

const SHAPE: &str =
    "write rbd:pool[/namespace]/image[@snap][:option=value…], with \\ before a :, @, =, / or \\ in a name";

/// An error at a byte of the image string.
fn syntax(text: &str, at: usize, reason: impl Into<String>) -> ConfigError {
    ConfigError::new(ConfigErrorKind::Syntax, "image string", place_in(text, at), reason)
}

/// A byte of the image string as a place for people. The user's key, a secret, is cut off.
fn place_in(text: &str, at: usize) -> String {
    let column = column_of(text, at);
    match text.split_once(":key=") {
        Some((before, _)) => format!("column {column} of {:?}", format!("{before}:key=…")),
        None => format!("column {column} of {text:?}"),
    }
}

/// The column of a byte, counted in characters from 1.
fn column_of(text: &str, at: usize) -> usize {
    text.char_indices().take_while(|&(index, _)| index < at).count() + 1
}

fn check_name(text: &str, at: usize, what: &str, name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(syntax(text, at, format!("expected the name of the {what}, found none")).hint(SHAPE));
    }
    if let Some(control) = name.chars().find(|c| c.is_control()) {
        let place = place_in(text, at);
        let reason = format!("the name has the control character {control:?} in it");
        let subject = format!("{what} {name:?}");
        return Err(ConfigError::new(ConfigErrorKind::InvalidName, subject, place, reason)
            .hint("names are made of printable characters"));
    }
    Ok(())
}

/// Reads the `rbd:` form from left to right.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, at: usize) -> Self {
        Self { text, at }
    }

    fn image_string(mut self) -> Result<ImageSpec> {
        let mut parts: Vec<(usize, String)> = Vec::new();
        let stop = loop {
            let start = self.at;
            let (part, stop) = self.token(&['/', '@', ':'])?;
            parts.push((start, part));
            if stop != Some('/') {
                break stop;
            }
            if parts.len() == 3 {
                return Err(syntax(self.text, self.at - 1, "there are too many slashes").hint(SHAPE));
            }
        };
        for ((start, part), what) in parts.iter().zip(Self::part_names(parts.len())) {
            check_name(self.text, *start, what, part)?;
        }
        let mut names = parts.into_iter().map(|(_, part)| part);
        let (pool, namespace, image) = match (names.next(), names.next(), names.next()) {
            (Some(pool), Some(namespace), Some(image)) => (pool, Some(namespace), image),
            (Some(pool), Some(image), None) => (pool, None, image),
            (image, _, _) => {
                (DEFAULT_POOL.to_owned(), None, image.expect("the loop reads at least one part"))
            }
        };
        let mut spec = ImageSpec { pool, namespace, image, snap: None, options: Vec::new() };
        let mut stop = stop;
        if stop == Some('@') {
            let start = self.at;
            let (snap, next) = self.token(&[':'])?;
            check_name(self.text, start, "snapshot", &snap)?;
            spec.snap = Some(snap);
            stop = next;
        }
        while stop == Some(':') {
            let (option, next) = self.option()?;
            spec.options.push(option);
            stop = next;
        }
        Ok(spec)
    }

    fn part_names(parts: usize) -> &'static [&'static str] {
        match parts {
            1 => &["image"],
            2 => &["pool", "image"],
            _ => &["pool", "namespace", "image"],
        }
    }

    fn option(&mut self) -> Result<(SpecOption, Option<char>)> {
        let start = self.at;
        let (key, stop) = self.token(&['=', ':'])?;
        if stop != Some('=') || key.trim().is_empty() {
            let found = if key.trim().is_empty() { "nothing".to_owned() } else { format!("{key:?}") };
            let error =
                syntax(self.text, start, format!("expected option=value after the colon, found {found}"));
            return Err(error.hint("write option=value, or \\: where the colon belongs to a name or value"));
        }
        let (value, stop) = self.token(&[':'])?;
        if value.contains('\0') || key.contains(char::is_control) {
            return Err(syntax(self.text, start, "the option has a control character in it"));
        }
        Ok((SpecOption { key, value, column: column_of(self.text, start) }, stop))
    }

    /// The text up to the next unescaped character of `stops`, which is consumed and returned, without its escapes.
    fn token(&mut self, stops: &[char]) -> Result<(String, Option<char>)> {
        let mut token = String::new();
        let mut rest = self.text[self.at..].chars();
        while let Some(c) = rest.next() {
            let here = self.at;
            self.at += c.len_utf8();
            if stops.contains(&c) {
                return Ok((token, Some(c)));
            }
            if c != '\\' {
                token.push(c);
                continue;
            }
            let Some(escaped) = rest.next() else {
                let error = syntax(self.text, here, "the last \\ has nothing after it to escape");
                return Err(error.hint("write \\\\ for a backslash"));
            };
            self.at += escaped.len_utf8();
            token.push(escaped);
        }
        Ok((token, None))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> ImageSpec {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn message(text: &str) -> String {
        text.parse::<ImageSpec>().expect_err(text).to_string()
    }

    #[test]
    fn the_rbd_form_has_pool_namespace_image_snapshot_and_options() {
        let full = parse("rbd:data/team/foo@before:id=admin:conf=/etc/ceph/x.conf:rbd_cache=true");
        assert_eq!(
            full,
            ImageSpec { namespace: Some("team".to_owned()), ..ImageSpec::new("data", "foo") }
                .at_snap("before")
                .with_option("id", "admin")
                .with_option("conf", "/etc/ceph/x.conf")
                .with_option("rbd_cache", "true")
        );
        assert_eq!((full.id(), full.conf(), full.keyring()), (Some("admin"), Some("/etc/ceph/x.conf"), None));
        assert_eq!(full.options[1].column, 35);
        assert_eq!(full.short(), "data/team/foo@before");
        assert_eq!(parse("rbd:foo"), ImageSpec::new("rbd", "foo"));
        let local = parse("rbd:data/foo:ringbd_store=/srv/ring");
        assert_eq!(local.store(), Some(PathBuf::from("/srv/ring")));
        assert_eq!(parse("rbd:data/foo:ringbd_store=").store(), None);
    }

    #[test]
    fn the_plain_form_is_the_rbd_commands() {
        assert_eq!(parse("foo"), ImageSpec::new("rbd", "foo"));
        assert_eq!(parse("data/foo"), ImageSpec::new("data", "foo"));
        assert_eq!(parse("data/foo@one"), ImageSpec::new("data", "foo").at_snap("one"));
        assert_eq!(parse("data/team/foo").namespace.as_deref(), Some("team"));
        assert_eq!(parse("data/foo:1").image, "foo:1");
        assert_eq!(parse("data/a\\b").image, "a\\b");
    }

    #[test]
    fn a_backslash_takes_the_meaning_from_the_next_character() {
        let spec = parse(r"rbd:da\/ta/f\:oo\@1@be\=fore\\:mon_host=10.0.0.1\:6789,b\=c");
        assert_eq!(spec.pool, "da/ta");
        assert_eq!(spec.image, "f:oo@1");
        assert_eq!(spec.snap.as_deref(), Some(r"be=fore\"));
        assert_eq!(spec.option("mon_host"), Some("10.0.0.1:6789,b=c"));
        assert_eq!(parse("rbd:p/i:key=a=b@c/d").option("key"), Some("a=b@c/d"));
    }

    #[test]
    fn the_last_option_of_a_name_wins_however_it_is_spelt() {
        let spec = parse("rbd:p/i:rbd cache=true:rbd-cache=false");
        assert_eq!(spec.option("rbd_cache"), Some("false"));
    }

    #[test]
    fn an_error_names_the_column_and_what_was_expected() {
        for (text, column, expected) in [
            ("", 1, "name of the image"),
            ("rbd:", 5, "name of the image"),
            ("rbd:/foo", 5, "name of the pool"),
            ("rbd:data/", 10, "name of the image"),
            ("rbd:data//foo", 10, "name of the namespace"),
            ("rbd:a/b/c/d", 10, "too many slashes"),
            ("a/b/c/d", 6, "too many slashes"),
            ("rbd:data/foo@", 14, "name of the snapshot"),
            ("data/foo@", 10, "name of the snapshot"),
            ("/foo", 1, "name of the pool"),
            ("rbd:data/foo:", 14, "option=value"),
            ("rbd:data/foo:rbd_cache", 14, "option=value after the colon, found \"rbd_cache\""),
            ("rbd:data/foo:=true", 14, "option=value"),
            ("rbd:data/foo:a=b:c:d=e", 18, "found \"c\""),
            ("rbd:data/foo\\", 13, "nothing after it"),
            ("data/foo:rbd_cache=true", 9, "after rbd:"),
            ("rbd:däta/fö/", 13, "name of the image"),
        ] {
            let message = message(text);
            assert!(message.contains(&format!("column {column} of")), "{text}: {message}");
            assert!(message.contains(expected), "{text}: {message}");
        }
        assert!(message("rbd:da\nta/foo").contains("pool"));
        let secret = message("rbd:data/foo:key=AQBsecret:x");
        assert!(secret.contains("column 28") && !secret.contains("secret"), "{secret}");
        assert!(message("rbd:data/f\0o").contains("control character"));
        assert!(message(&"x".repeat(1 << 20)).contains("limit"));
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof![r"[a-z0-9:@=/\\._-]{1,12}", "[^\\p{Cc}]{1,8}"]
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_back(
            (pool, image) in (name(), name()),
            namespace in proptest::option::of(name()),
            snap in proptest::option::of(name()),
            options in proptest::collection::vec((r"[a-z_:@=/\\]{0,4}[a-z]", r"[^\x00]{0,12}"), 0..4),
        ) {
            let mut spec = ImageSpec { namespace, snap, ..ImageSpec::new(pool, image) };
            for (key, value) in options {
                spec = spec.with_option(key, value);
            }
            let printed = spec.to_string();
            prop_assert_eq!(printed.parse::<ImageSpec>(), Ok(spec), "{}", printed);
        }

        #[test]
        fn any_text_is_an_image_or_an_error_with_a_place(text in ".*", form in any::<bool>()) {
            let text = if form { format!("rbd:{text}") } else { text };
            match text.parse::<ImageSpec>() {
                Ok(spec) => prop_assert_eq!(spec.to_string().parse::<ImageSpec>(), Ok(spec)),
                Err(error) => prop_assert!(error.to_string().contains("column"), "{}", error),
            }
        }
    }
}
