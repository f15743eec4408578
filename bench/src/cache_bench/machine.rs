//! What the rest of the machine did while a run was measured, from /proc/stat.

use std::fs;

/// CPU time since boot, in clock ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MachineCpu {
    busy: u64,
    stolen: u64,
    total: u64,
}

/// CPU that went elsewhere, in cores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Elsewhere {
    /// Other programs on this machine.
    pub(crate) others_cores: f64,
    /// Other machines on this host.
    pub(crate) stolen_cores: f64,
}

impl MachineCpu {
    /// As of now; `None` where /proc does not tell.
    pub(crate) fn now() -> Option<MachineCpu> {
        MachineCpu::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    fn parse(stat: &str) -> Option<MachineCpu> {
        let fields: Vec<u64> = stat
            .lines()
            .next()?
            .strip_prefix("cpu ")?
            .split_whitespace()
            .map_while(|field| field.parse().ok())
            .collect();
        // user nice system idle iowait irq softirq steal; guest time is within user.
        let &[user, nice, system, idle, iowait, irq, softirq, stolen, ..] = fields.as_slice() else {
            return None;
        };
        let busy = user + nice + system + irq + softirq;
        Some(MachineCpu { busy, stolen, total: busy + idle + iowait + stolen })
    }

    /// What went elsewhere between `self` and `later`, when the process under test used `own_seconds` of the
    /// `wall_seconds`.
    pub(crate) fn elsewhere(
        &self,
        later: &MachineCpu,
        own_seconds: f64,
        wall_seconds: f64,
        cores: usize,
    ) -> Option<Elsewhere> {
        let ticks = later.total.checked_sub(self.total).filter(|&ticks| ticks > 0)? as f64;
        let share = |now: u64, then: u64| now.saturating_sub(then) as f64 / ticks * cores as f64;
        Some(Elsewhere {
            others_cores: (share(later.busy, self.busy) - own_seconds / wall_seconds).max(0.0),
            stolen_cores: share(later.stolen, self.stolen),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_snapshots() {
        let then = MachineCpu::parse("cpu  100 0 100 1000 0 0 0 10 0 0\ncpu0 …").unwrap();
        let now = MachineCpu::parse("cpu  150 0 150 1090 0 0 0 20 0 0").unwrap();
        // 200 ticks on two cores = one second of wall time; busy 100 ticks = one core, half of it our own.
        let elsewhere = then.elsewhere(&now, 0.5, 1.0, 2).unwrap();
        assert!((elsewhere.others_cores - 0.5).abs() < 1e-9);
        assert!((elsewhere.stolen_cores - 0.1).abs() < 1e-9);
        assert!(MachineCpu::parse("intr 1 2 3").is_none());
        assert!(then.elsewhere(&then, 0.0, 1.0, 2).is_none());
    }
}
