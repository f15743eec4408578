//! Keyrings: files that hold the keys of users.
//!
//! ```text
//! [client.admin]
//!         key = AQBktwJrM6JOIhAAtuYSwyL9G9K7zF5otBlGOQ==
//!         caps mon = "allow *"
//! ```
//!
//! The grammar is that of Ceph's configuration files: `#` and `;` start a comment outside quotes, `\` takes the
//! meaning of the next character away or joins the next line, white space in a name counts as one underscore, the
//! last of two equal lines wins, and sections of the same name are one. A key that cannot be used spoils only its
//! own entry, so that a key of a newer kind does not lock out the others.

use super::{CephUser, CryptoKey, KeyError, UserNameError};
use std::collections::BTreeMap;
use thiserror::Error;
use zeroize::Zeroizing;

/// The largest keyring. The monitors' own, with every user of a large cluster, is smaller.
pub const KEYRING_BYTES_MAX: usize = 4 << 20;

/// The entries of a keyring.
#[derive(Debug, Default)]
pub struct Keyring {
    entries: BTreeMap<String, KeyringEntry>,
}

/// What a keyring says of one user.
#[derive(Debug)]
pub struct KeyringEntry {
    /// Who it is.
    pub user: CephUser,
    /// The line of its section, from 1.
    pub line: u32,
    key: Option<Result<CryptoKey, KeyringError>>,
    /// Capabilities by service. They are the monitors' business and only for display.
    pub caps: BTreeMap<String, String>,
}

/// What is wrong with a keyring, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {kind}")]
pub struct KeyringError {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong.
    pub kind: KeyringErrorKind,
}

/// What is wrong with a keyring.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyringErrorKind {
    /// It is larger than [`KEYRING_BYTES_MAX`].
    #[error("the file is larger than {KEYRING_BYTES_MAX} bytes; is it a keyring?")]
    TooLarge,
    /// It is not text.
    #[error("the file is not UTF-8 text; is it a keyring?")]
    NotText,
    /// A section's name has no end.
    #[error("the section's name has no closing bracket")]
    OpenSection,
    /// A section's name is no user.
    #[error("[{0}] is no user: {1}")]
    NotUser(String, UserNameError),
    /// Something stands before the first section.
    #[error("a line before the first [user] section")]
    NoSection,
    /// A line without an equals sign.
    #[error("expected name = value")]
    NoValue,
    /// A name that keyrings do not have.
    #[error("there is no {0:?} in keyrings, only key and caps SERVICE")]
    UnknownName(String),
    /// A quoted value without its end.
    #[error("the quoted value has no closing quote on its line")]
    OpenQuote,
    /// Something stands after a section's name or a quoted value.
    #[error("something stands after the closing bracket or quote")]
    Trailing,
    /// The user has no key.
    #[error("[{0}] has no key")]
    NoKey(CephUser),
    /// The user's key cannot be used.
    #[error("the key of {0} cannot be used: {1}")]
    Key(CephUser, KeyError),
}

impl Keyring {
    /// Reads a keyring.
    ///
    /// # Errors
    /// Names the line and what is wrong with it. Keys are judged when they are asked for.
    pub fn parse(bytes: &[u8]) -> Result<Keyring, KeyringError> {
        if bytes.len() > KEYRING_BYTES_MAX {
            return Err(KeyringError { line: 1, kind: KeyringErrorKind::TooLarge });
        }
        let text = str::from_utf8(bytes).map_err(|error| {
            let lines = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
            let line = u32::try_from(1 + lines).expect("the size limit is below 2^32 lines");
            KeyringError { line, kind: KeyringErrorKind::NotText }
        })?;
        let mut keyring = Keyring::default();
        let mut scanner = Scanner::new(text);
        let mut section = Section::Before;
        while scanner.next_item() {
            let line = scanner.line;
            let at = |kind| KeyringError { line, kind };
            if scanner.peek() == Some('[') {
                section = keyring.enter(&scanner.heading().map_err(at)?, line).map_err(at)?;
                continue;
            }
            let name = scanner.name().map_err(at)?;
            let value = scanner.value().map_err(at)?;
            match &section {
                Section::Before => return Err(at(KeyringErrorKind::NoSection)),
                Section::Global => {}
                Section::User(user) => {
                    let entry = keyring.entries.get_mut(user).expect("entering a section makes its entry");
                    entry.set(line, &name, &value).map_err(at)?;
                }
            }
        }
        Ok(keyring)
    }

    /// The key of a user; `None` when the keyring has no such section.
    ///
    /// # Errors
    /// The section has no key, or one that cannot be used.
    pub fn key(&self, user: &CephUser) -> Option<Result<&CryptoKey, KeyringError>> {
        let entry = self.entries.get(&user.to_string())?;
        Some(match &entry.key {
            Some(key) => key.as_ref().map_err(KeyringError::clone),
            None => Err(KeyringError { line: entry.line, kind: KeyringErrorKind::NoKey(entry.user.clone()) }),
        })
    }

    /// The entries, in the order of their names.
    pub fn entries(&self) -> impl Iterator<Item = &KeyringEntry> {
        self.entries.values()
    }

    /// Enters a section.
    fn enter(&mut self, name: &str, line: u32) -> Result<Section, KeyringErrorKind> {
        if name == "global" {
            return Ok(Section::Global);
        }
        let user: CephUser =
            name.parse().map_err(|error| KeyringErrorKind::NotUser(name.to_owned(), error))?;
        let entry = KeyringEntry { user, line, key: None, caps: BTreeMap::new() };
        self.entries.entry(name.to_owned()).or_insert(entry);
        Ok(Section::User(name.to_owned()))
    }
}

impl KeyringEntry {
    fn set(&mut self, line: u32, name: &str, value: &str) -> Result<(), KeyringErrorKind> {
        match (name, name.strip_prefix("caps_")) {
            ("key", _) => {
                let key = CryptoKey::from_base64(value).map_err(|error| KeyringError {
                    line,
                    kind: KeyringErrorKind::Key(self.user.clone(), error),
                });
                self.key = Some(key);
            }
            // Releases before 2018 wrote it.
            ("auid", _) => {}
            (_, Some(service)) if !service.is_empty() => {
                self.caps.insert(service.to_owned(), value.to_owned());
            }
            (_, Some(_) | None) => return Err(KeyringErrorKind::UnknownName(name.replace('_', " "))),
        }
        Ok(())
    }
}

/// Where the reader is.
enum Section {
    /// Before the first one.
    Before,
    /// In the one that configuration files have and keyrings need not.
    Global,
    /// In that of the user with this name.
    User(String),
}

/// Reads the text from left to right and counts its lines.
struct Scanner<'a> {
    rest: &'a str,
    line: u32,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Scanner<'a> {
        // Editors on Windows put a byte order mark in front.
        Scanner { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn at_end_of_line(&self) -> bool {
        matches!(self.peek(), None | Some('\n' | '\r'))
    }

    fn end_of_line(&mut self) -> bool {
        let rest = ["\r\n", "\n", "\r"].iter().find_map(|eol| self.rest.strip_prefix(eol));
        if let Some(rest) = rest {
            self.rest = rest;
            self.line += 1;
        }
        rest.is_some()
    }

    /// Consumes a backslash together with the end of line after it.
    fn joined(&mut self) -> bool {
        let joins = self.rest.starts_with("\\\n") || self.rest.starts_with("\\\r");
        if joins {
            self.bump();
            self.end_of_line();
        }
        joins
    }

    /// Consumes white space inside a line, and a comment.
    fn blanks(&mut self) {
        loop {
            match self.peek() {
                Some(' ' | '\t') => drop(self.bump()),
                Some('#' | ';') => {
                    let end = self.rest.find(['\n', '\r']).unwrap_or(self.rest.len());
                    self.rest = &self.rest[end..];
                }
                Some(_) | None if self.joined() => {}
                Some(_) | None => return,
            }
        }
    }

    /// Moves to the next section or line with something on it; false at the end.
    fn next_item(&mut self) -> bool {
        loop {
            self.blanks();
            if !self.end_of_line() {
                return !self.rest.is_empty();
            }
        }
    }

    /// Nothing but a comment may follow on the line.
    fn finish_line(&mut self) -> Result<(), KeyringErrorKind> {
        self.blanks();
        if self.at_end_of_line() { Ok(()) } else { Err(KeyringErrorKind::Trailing) }
    }

    /// Text up to one of `stops`, a comment or the end of the line, without escapes and the white space around it.
    fn text(&mut self, stops: &[char]) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(self.line_bytes()));
        loop {
            while self.joined() {}
            match self.peek() {
                None | Some('\n' | '\r' | '#' | ';') => break,
                Some(c) if stops.contains(&c) => break,
                Some(c) => {
                    self.bump();
                    let escaped = if c == '\\' && !self.at_end_of_line() { self.bump() } else { None };
                    text.push(escaped.unwrap_or(c));
                }
            }
        }
        Zeroizing::new(text.trim().to_owned())
    }

    /// How long a text from here can be, so that a secret is not left behind where a growing string was. Joined
    /// lines are rare and not counted.
    fn line_bytes(&self) -> usize {
        self.rest.find(['\n', '\r']).unwrap_or(self.rest.len())
    }

    fn heading(&mut self) -> Result<String, KeyringErrorKind> {
        self.bump();
        let name = self.text(&[']']);
        if self.bump() != Some(']') {
            return Err(KeyringErrorKind::OpenSection);
        }
        self.finish_line()?;
        Ok(String::clone(&name))
    }

    /// A name, and the equals sign after it.
    fn name(&mut self) -> Result<String, KeyringErrorKind> {
        let name = self.text(&['=']);
        if self.bump() != Some('=') || name.is_empty() {
            return Err(KeyringErrorKind::NoValue);
        }
        let words: Vec<&str> = name.split([' ', '\t', '_']).filter(|word| !word.is_empty()).collect();
        Ok(words.join("_"))
    }

    fn value(&mut self) -> Result<Zeroizing<String>, KeyringErrorKind> {
        self.blanks();
        match self.peek() {
            Some(quote @ ('"' | '\'')) => {
                let value = self.quoted(quote)?;
                self.finish_line()?;
                Ok(value)
            }
            Some(_) | None => {
                let value = self.text(&[]);
                self.finish_line()?;
                Ok(value)
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Zeroizing<String>, KeyringErrorKind> {
        self.bump();
        let mut value = Zeroizing::new(String::with_capacity(self.line_bytes()));
        loop {
            while self.joined() {}
            if self.at_end_of_line() {
                return Err(KeyringErrorKind::OpenQuote);
            }
            match self.bump() {
                Some(c) if c == quote => return Ok(value),
                Some('\\') if !self.at_end_of_line() => value.extend(self.bump()),
                other => value.extend(other),
            }
        }
    }
}

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
