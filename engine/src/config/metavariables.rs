//! Metavariables: `$cluster`, `$name` and the like, and `$option` for the value of another option.
//!
//! What Ceph does not know it leaves as written, and so do we. Where Ceph prints a warning about an endless expansion
//! and goes on with half of it, we stop with an error.

use super::error::{ConfigError, ConfigErrorKind, Result};

/// How deep one value may refer to another. Real configurations go two deep.
const DEPTH_MAX: usize = 16;

/// The longest text a value may expand to: twice the longest path there is.
const EXPANDED_BYTES_MAX: usize = 8 << 10;

/// How many references one value may expand in all; bounds the work where each level refers twice to the next.
const STEPS_MAX: usize = 1000;

/// Who is asking: the values of the metavariables that are not options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `$cluster`.
    pub cluster: String,
    /// `$id`: the user, without `client.`.
    pub id: String,
    /// `$host`: this machine's short name.
    pub host: String,
    /// `$pid`.
    pub pid: u32,
    /// `$cctid`: a number that differs for each set of settings of one process.
    pub cctid: u64,
    /// `$home`.
    pub home: String,
}

impl Identity {
    /// `$name`: the user with its type.
    #[must_use]
    pub fn name(&self) -> String {
        format!("client.{}", self.id)
    }

    fn variable(&self, variable: &str) -> Option<String> {
        Some(match variable {
            "cluster" => self.cluster.clone(),
            "type" => "client".to_owned(),
            "id" | "num" => self.id.clone(),
            "name" => self.name(),
            "host" => self.host.clone(),
            "pid" => self.pid.to_string(),
            "cctid" => self.cctid.to_string(),
            "home" => self.home.clone(),
            _ => return None,
        })
    }
}

/// Expands the metavariables of `text`, the value of `option` written at `place`.
///
/// `lookup` gives the unexpanded value of another option by its name; `None` if there is no such option.
pub(super) fn expand(
    text: &str,
    option: &str,
    place: &str,
    identity: &Identity,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<String> {
    let mut expansion =
        Expansion { identity, lookup, option, place, stack: vec![option.to_owned()], steps: 0 };
    let mut out = String::new();
    expansion.append(text, &mut out)?;
    Ok(out)
}

struct Expansion<'a> {
    identity: &'a Identity,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    option: &'a str,
    place: &'a str,
    stack: Vec<String>,
    steps: usize,
}

impl Expansion<'_> {
    fn append(&mut self, text: &str, out: &mut String) -> Result<()> {
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            out.push_str(&rest[..dollar]);
            let reference = &rest[dollar..];
            let (variable, consumed) = variable_of(reference);
            self.steps += 1;
            match variable.and_then(|name| Some((name, self.value_of(name)?))) {
                Some((_, Found::Final(value))) => out.push_str(&value),
                Some((name, Found::Option(value))) => self.descend(name, &value, out)?,
                None => out.push_str(&reference[..consumed]),
            }
            self.check(out)?;
            rest = &reference[consumed..];
        }
        out.push_str(rest);
        self.check(out)
    }

    fn descend(&mut self, name: &str, value: &str, out: &mut String) -> Result<()> {
        if self.stack.iter().any(|above| above == name) {
            let path = self.stack.join(" → $");
            return Err(self.error(format!("it expands into itself: {path} → ${name}")));
        }
        if self.stack.len() == DEPTH_MAX {
            return Err(self.error(format!("it refers to other options more than {DEPTH_MAX} deep")));
        }
        self.stack.push(name.to_owned());
        self.append(value, out)?;
        self.stack.pop();
        Ok(())
    }

    fn value_of(&self, name: &str) -> Option<Found> {
        match self.identity.variable(name) {
            Some(value) => Some(Found::Final(value)),
            None => (self.lookup)(name).map(Found::Option),
        }
    }

    fn check(&self, out: &str) -> Result<()> {
        if out.len() > EXPANDED_BYTES_MAX {
            return Err(self.error(format!("it expands to more than {EXPANDED_BYTES_MAX} bytes")));
        }
        if self.steps > STEPS_MAX {
            return Err(self.error(format!("it expands more than {STEPS_MAX} references")));
        }
        Ok(())
    }

    fn error(&self, reason: String) -> ConfigError {
        ConfigError::new(
            ConfigErrorKind::ExpansionLoop,
            format!("option {}", self.option),
            self.place,
            reason,
        )
        .hint("write the value out instead of referring to another option")
    }
}

enum Found {
    /// Inserted as it is.
    Final(String),
    /// Expanded in turn.
    Option(String),
}

/// The variable a text that starts with `$` refers to, as `$name` or `${name}`, and the bytes of the reference.
fn variable_of(reference: &str) -> (Option<&str>, usize) {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let (open, name_at) = if reference.starts_with("${") { (true, 2) } else { (false, 1) };
    let name = &reference[name_at..];
    let end = name.find(|c: char| !is_name(c)).unwrap_or(name.len());
    let closed = !open || name[end..].starts_with('}');
    if end == 0 || !closed {
        return (None, 1);
    }
    (Some(&name[..end]), name_at + end + usize::from(open))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn identity() -> Identity {
        Identity {
            cluster: "ceph".to_owned(),
            id: "alice".to_owned(),
            host: "node1".to_owned(),
            pid: 42,
            cctid: 7,
            home: "/home/alice".to_owned(),
        }
    }

    fn expand_with(text: &str, options: &[(&str, &str)]) -> Result<String> {
        let lookup = |name: &str| {
            options.iter().find(|(option, _)| *option == name).map(|(_, value)| (*value).to_owned())
        };
        expand(text, "keyring", "f:1", &identity(), &lookup)
    }

    #[test]
    fn every_metavariable_expands() {
        let text = "$cluster $type $id $num $name $host $pid $cctid $home";
        assert_eq!(
            expand_with(text, &[]).unwrap(),
            "ceph client alice alice client.alice node1 42 7 /home/alice"
        );
        assert_eq!(expand_with("${cluster}x$cluster-$id.k", &[]).unwrap(), "cephxceph-alice.k");
    }

    #[test]
    fn an_option_expands_through_others() {
        let options = [("run_dir", "/run/$cluster"), ("admin_socket", "$run_dir/$name.asok")];
        assert_eq!(expand_with("$admin_socket", &options).unwrap(), "/run/ceph/client.alice.asok");
    }

    #[test]
    fn what_is_no_variable_stays() {
        for text in ["$", "a$", "$$", "$1", "${", "${cluster", "${}", "$nonesuch/x", "${nonesuch}", "$A"] {
            assert_eq!(expand_with(text, &[]).unwrap(), text);
        }
    }

    #[test]
    fn a_loop_is_an_error_that_names_the_option_its_place_and_the_way() {
        let error =
            expand_with("$log_file", &[("log_file", "$run_dir"), ("run_dir", "$keyring"), ("keyring", "")])
                .unwrap_err()
                .to_string();
        assert!(error.contains("option keyring (f:1)"), "{error}");
        assert!(error.contains("keyring → $log_file → $run_dir → $keyring"), "{error}");
    }

    #[test]
    fn expansion_is_bounded_in_depth_length_and_work() {
        let names: Vec<String> = ('a'..='z').map(|c| format!("v_{c}")).collect();
        let chain: Vec<(&str, String)> =
            names.iter().zip(names.iter().skip(1)).map(|(a, b)| (a.as_str(), format!("${b}${b}"))).collect();
        let chain: Vec<(&str, &str)> = chain.iter().map(|(a, b)| (*a, b.as_str())).collect();
        assert!(expand_with("$v_a", &chain).is_err());
        let mut short = chain[..10].to_vec();
        short.push((names[10].as_str(), ""));
        assert!(expand_with("$v_a", &short).unwrap_err().to_string().contains("references"));
        let long = "x".repeat(5000);
        assert!(expand_with("$v_a$v_a", &[("v_a", &long)]).unwrap_err().to_string().contains("bytes"));
    }

    proptest! {
        #[test]
        fn any_text_expands_or_fails(text in r"[$a-z_{}/]{0,40}") {
            let _ = expand_with(&text, &[("a", "$b"), ("b", "$a$c"), ("c", "x")]);
        }
    }
}
