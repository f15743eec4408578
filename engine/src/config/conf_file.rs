//! A Ceph configuration file: sections of `key = value`, each value with the line it stands on.
//!
//! The grammar is the one Ceph 16 and later read:
//! - `#` and `;` start a comment anywhere outside quotes; `\` before a character takes its meaning away;
//! - `\` at the end of a line joins the next one to it;
//! - a value that starts with `"` or `'` ends at the same quote, on its line;
//! - white space inside a key counts as one underscore;
//! - the last of two equal keys in a section wins, and sections of the same name are one.
//!
//! Where Ceph would refuse a file whose meaning is plain, it is read: a missing end of the last line, keys before the
//! first section (they are `[global]`), an indented `[section]`, comment characters inside quotes, letters beyond
//! ASCII. Where Ceph would pass over a line in silence, it is read as Ceph's documentation means it: `rbd-cache` is
//! `rbd_cache`, and `[ client ]` is `[client]`. Ceph's files have no include directive.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, ConfigErrorKind, Result};
use super::options::normalize_key;

/// The largest file read. A configuration is a few kilobytes; this keeps a wrong path from filling the memory.
pub const CONF_FILE_BYTES_MAX: usize = 16 << 20;

/// A parsed configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfFile {
    path: PathBuf,
    sections: BTreeMap<String, BTreeMap<String, ConfEntry>>,
}

/// One value of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfEntry {
    /// The value, without quotes, escapes and comments; metavariables are still in it.
    pub value: String,
    /// The line its key starts on, from 1.
    pub line: u32,
}

impl ConfFile {
    /// Parses the bytes of the file at `path`, which is only named in errors.
    ///
    /// # Errors
    /// Names the file, the line, and what was expected there.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let error = |line: u32, reason: String| {
            let place = format!("{}:{line}", path.display());
            ConfigError::new(ConfigErrorKind::Syntax, "configuration file", place, reason)
        };
        if bytes.len() > CONF_FILE_BYTES_MAX {
            return Err(error(
                1,
                format!("it has {} bytes, the limit is {CONF_FILE_BYTES_MAX}", bytes.len()),
            )
            .hint("is it the right file?"));
        }
        let text = std::str::from_utf8(bytes).map_err(|utf8| {
            let good = &bytes[..utf8.valid_up_to()];
            let line = 1 + good.iter().filter(|&&byte| byte == b'\n').count();
            let line = u32::try_from(line).expect("the size limit is below 2^32 lines");
            error(line, "it is not valid UTF-8".to_owned()).hint("save it as UTF-8")
        })?;
        let mut parser = Parser::new(text);
        let mut conf = Self { path: path.to_owned(), sections: BTreeMap::new() };
        conf.read(&mut parser).map_err(|mistake| {
            error(mistake.line, mistake.reason).maybe_hint(mistake.hint.map(str::to_owned))
        })?;
        Ok(conf)
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The value of a key in the first of `sections` that has it: name the most specific section first.
    #[must_use]
    pub fn find(&self, sections: &[&str], key: &str) -> Option<&ConfEntry> {
        sections.iter().find_map(|section| self.sections.get(*section)?.get(key))
    }

    /// The keys and values of one section.
    pub fn section(&self, name: &str) -> impl Iterator<Item = (&str, &ConfEntry)> {
        self.sections.get(name).into_iter().flatten().map(|(key, entry)| (key.as_str(), entry))
    }

    /// The names of the sections.
    pub fn section_names(&self) -> impl Iterator<Item = &str> {
        self.sections.keys().map(String::as_str)
    }

    fn read(&mut self, parser: &mut Parser<'_>) -> Result<(), Mistake> {
        let mut section = "global".to_owned();
        while parser.next_item() {
            if parser.peek() == Some('[') {
                section = parser.heading()?;
                self.sections.entry(section.clone()).or_default();
            } else {
                let line = parser.line;
                let key = parser.key()?;
                let value = parser.value()?;
                let entries = self.sections.entry(section.clone()).or_default();
                entries.insert(key, ConfEntry { value, line });
            }
        }
        Ok(())
    }
}

/// What is wrong with a line.
struct Mistake {
    line: u32,
    reason: String,
    hint: Option<&'static str>,
}

/// Reads the text from left to right and counts its lines.
struct Parser<'a> {
    rest: &'a str,
    line: u32,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        // Editors on Windows put a byte order mark in front.
        Self { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn mistake(&self, reason: impl Into<String>, hint: Option<&'static str>) -> Mistake {
        Mistake { line: self.line, reason: reason.into(), hint }
    }

    /// Consumes one end of line: `\n`, `\r\n` or `\r`.
    fn end_of_line(&mut self) -> bool {
        let rest = ["\r\n", "\n", "\r"].iter().find_map(|eol| self.rest.strip_prefix(eol));
        if let Some(rest) = rest {
            self.rest = rest;
            self.line += 1;
        }
        rest.is_some()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    /// Consumes a backslash together with the end of line after it.
    fn continuation(&mut self) -> bool {
        if !self.rest.starts_with("\\\n") && !self.rest.starts_with("\\\r") {
            return false;
        }
        self.bump();
        self.end_of_line()
    }

    /// Consumes white space inside a line, counting joined lines as one, and a comment.
    fn blanks(&mut self) {
        loop {
            if matches!(self.peek(), Some(' ' | '\t')) {
                self.bump();
            } else if !self.continuation() {
                break;
            }
        }
        if matches!(self.peek(), Some('#' | ';')) {
            let end = self.rest.find(['\n', '\r']).unwrap_or(self.rest.len());
            self.rest = &self.rest[end..];
        }
    }

    /// Moves to the next section or key; false at the end of the file.
    fn next_item(&mut self) -> bool {
        loop {
            self.blanks();
            if !self.end_of_line() {
                break;
            }
        }
        !self.rest.is_empty()
    }

    fn at_end_of_line(&self) -> bool {
        matches!(self.peek(), None | Some('\n' | '\r'))
    }

    /// One character of a text, without its escape; `None` at a comment, a line's end or one of `stops`.
    fn text_char(&mut self, stops: &[char]) -> Option<char> {
        while self.continuation() {}
        let c = self.peek()?;
        if stops.contains(&c) || matches!(c, '\n' | '\r' | '#' | ';') {
            return None;
        }
        self.bump();
        if c == '\\' && !self.at_end_of_line() { self.bump() } else { Some(c) }
    }

    fn heading(&mut self) -> Result<String, Mistake> {
        self.bump();
        let mut name = String::new();
        while let Some(c) = self.text_char(&[']']) {
            name.push(c);
        }
        if self.peek() != Some(']') {
            let reason = format!("the section [{} has no closing bracket", name.trim_end());
            return Err(self.mistake(reason, Some("write [global], [client] or [client.ID]")));
        }
        self.bump();
        if name.trim().is_empty() {
            return Err(
                self.mistake("the section has no name", Some("write [global], [client] or [client.ID]"))
            );
        }
        self.blanks();
        if !self.at_end_of_line() {
            let reason = format!("there is something after the section [{}]", name.trim());
            return Err(self.mistake(reason, Some("start a new line after the closing bracket")));
        }
        Ok(name.trim().to_owned())
    }

    fn key(&mut self) -> Result<String, Mistake> {
        let line = self.line;
        let mut key = String::new();
        while let Some(c) = self.text_char(&['=', '[']) {
            key.push(c);
        }
        let key = key.trim().to_owned();
        let mistake = |reason: String, hint| Err(Mistake { line, reason, hint: Some(hint) });
        if self.peek() != Some('=') {
            let hint = if key.starts_with("include") {
                "Ceph's configuration files have no include; name another file with conf="
            } else {
                "write key = value"
            };
            return mistake(format!("expected = after {key:?}"), hint);
        }
        self.bump();
        if key.is_empty() {
            return mistake("there is no key before the =".to_owned(), "write key = value");
        }
        Ok(normalize_key(&key))
    }

    fn value(&mut self) -> Result<String, Mistake> {
        self.blanks();
        match self.peek() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote),
            Some(_) | None => {
                let mut value = String::new();
                while let Some(c) = self.text_char(&[]) {
                    value.push(c);
                }
                self.blanks();
                Ok(value.trim().to_owned())
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, Mistake> {
        self.bump();
        let mut value = String::new();
        loop {
            if self.at_end_of_line() {
                let reason = format!("the quoted value {quote}{value} has no closing {quote}");
                return Err(self.mistake(reason, Some("close the quote on the same line")));
            }
            match self.bump() {
                Some(c) if c == quote => break,
                Some('\\') if !self.at_end_of_line() => value.extend(self.bump()),
                other => value.extend(other),
            }
        }
        self.blanks();
        if !self.at_end_of_line() {
            let reason = format!("there is something after the quoted value {quote}{value}{quote}");
            return Err(self
                .mistake(reason, Some("put the quotes around the whole value, or write \\\" for a quote")));
        }
        Ok(value.trim().to_owned())
    }
}

#[cfg(test)]
#[path = "conf_file_tests.rs"]
mod tests;
