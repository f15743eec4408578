//! Where a measurement was made: the facts without which a number means nothing.

pub(crate) mod date;
mod disk;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

pub(crate) use date::utc;
pub(crate) use disk::Disk;

/// The machine, the software and the command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Environment {
    /// UTC, ISO 8601.
    pub(crate) date: String,
    pub(crate) command_line: String,
    pub(crate) ringbd_version: String,
    /// The commit of the source checkout, `-dirty` when it had changes; `None` outside a checkout.
    pub(crate) commit: Option<String>,
    pub(crate) fio_version: String,
    pub(crate) host: String,
    pub(crate) kernel: String,
    pub(crate) cpu_model: String,
    pub(crate) cores: usize,
    pub(crate) memory_bytes: u64,
    /// What the machine runs on, when it is virtual.
    pub(crate) hypervisor: Option<String>,
    /// How the CPU frequency is governed; `None` where the machine does not tell.
    pub(crate) governor: Option<String>,
    pub(crate) load_average: String,
    /// The disk under the store.
    pub(crate) disk: Disk,
}

impl Environment {
    /// Looks around. What cannot be found out is said to be unknown.
    pub(crate) fn capture(fio_version: &str, store: &Path) -> Environment {
        let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Environment {
            date: date::utc_now(),
            command_line: std::env::args().map(|argument| quote(&argument)).collect::<Vec<_>>().join(" "),
            ringbd_version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: checkout_commit(Path::new(env!("CARGO_MANIFEST_DIR"))),
            fio_version: fio_version.to_owned(),
            host: line_of("/proc/sys/kernel/hostname"),
            kernel: line_of("/proc/sys/kernel/osrelease"),
            cpu_model: field_of(&cpu_info, "model name").unwrap_or_else(unknown),
            cores: cores(),
            memory_bytes: memory_bytes().unwrap_or(0),
            hypervisor: hypervisor(&cpu_info),
            governor: fs::read_to_string("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
                .ok()
                .map(|governor| governor.trim().to_owned()),
            load_average: load_average(),
            disk: Disk::under(store),
        }
    }

    /// The facts as label and text, for people.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let commit = self.commit.as_ref().map_or(String::new(), |commit| format!(", commit {commit}"));
        let mut facts = vec![
            ("Date", self.date.clone()),
            ("Command", self.command_line.clone()),
            ("ringbd", format!("{}{commit}", self.ringbd_version)),
            ("fio", self.fio_version.clone()),
            ("Kernel", self.kernel.clone()),
            ("CPU", format!("{} × {}", self.cores, self.cpu_model)),
            ("Memory", crate::size::human(self.memory_bytes)),
            ("Disk", self.disk.describe()),
            ("File system", self.disk.describe_filesystem()),
            ("Load before", self.load_average.clone()),
            ("Host", self.host.clone()),
        ];
        if let Some(hypervisor) = &self.hypervisor {
            facts.push(("Virtual machine", hypervisor.clone()));
        }
        if let Some(governor) = &self.governor {
            facts.push(("CPU governor", governor.clone()));
        }
        facts
    }
}

/// How many CPUs this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// The only line of a file of /proc or /sys.
fn line_of(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| unknown(), |text| text.trim().to_owned())
}

/// The first `name : value` of /proc/cpuinfo.
fn field_of(text: &str, name: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

/// The three averages, without what follows them.
fn load_average() -> String {
    line_of("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn memory_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let kib: u64 = field_of(&text, "MemTotal")?.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

fn hypervisor(cpu_info: &str) -> Option<String> {
    let flags = field_of(cpu_info, "flags")?;
    flags.split(' ').any(|flag| flag == "hypervisor").then(|| {
        fs::read_to_string("/sys/class/dmi/id/sys_vendor")
            .map_or_else(|_| "yes (kind unknown)".to_owned(), |vendor| vendor.trim().to_owned())
    })
}

fn checkout_commit(source: &Path) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(source)
        .args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"])
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let commit = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!commit.is_empty()).then_some(commit)
}

/// An argument as a shell takes it.
fn quote(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@+%".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_for_a_shell() {
        assert_eq!(quote("--seed=7"), "--seed=7");
        assert_eq!(quote("hit-*"), "'hit-*'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }

    #[test]
    fn this_machine_is_described() {
        let environment = Environment::capture("fio-3.33", Path::new("/"));
        assert!(environment.cores > 0 && environment.memory_bytes > 0);
        assert!(environment.facts().iter().all(|(label, _)| !label.is_empty()));
    }
}
