//! The CPUs of the process, and the CPU time of the calling thread.

use crate::core::Core;
use std::time::Duration;

/// The CPUs that this process may run on, in order: those of its first thread, whatever the others were pinned to.
pub fn allowed_cpus() -> Vec<usize> {
    // SAFETY: a set of bits may be all zeros.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a set of ours of the given size; the kernel only writes it.
    let result =
        unsafe { libc::sched_getaffinity(libc::getpid(), size_of::<libc::cpu_set_t>(), &raw mut set) };
    if result != 0 {
        // A kernel for more CPUs than the set has bits; threads then float, and pinning is tried as it is asked for.
        return Vec::new();
    }
    let bits = 8 * size_of::<libc::cpu_set_t>();
    // SAFETY: the number is below the size of the set in bits.
    (0..bits).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect()
}

/// The CPU that the running core is on just now; a simulated one is on the first.
pub fn current_cpu() -> usize {
    Core::with(|core| match core.world().as_simulated() {
        Some(_) => 0,
        // SAFETY: the call takes nothing and only returns a number.
        None => usize::try_from(unsafe { libc::sched_getcpu() }).expect("Linux knows where a thread runs"),
    })
}

/// CPU time of the calling thread so far, user and system.
pub fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours; the kernel only writes it.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0, "CLOCK_THREAD_CPUTIME_ID exists on every Linux");
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_does_not_narrow_the_process() {
        let all = allowed_cpus();
        let pinned_to = all[0];
        let seen = std::thread::spawn(move || {
            assert!(core_affinity::set_for_current(core_affinity::CoreId { id: pinned_to }));
            allowed_cpus()
        });
        assert_eq!(seen.join().unwrap(), all);
    }

    #[test]
    fn there_is_a_cpu_and_work_takes_time() {
        assert!(!allowed_cpus().is_empty());
        let before = thread_cpu_time();
        let mut sum = 0u64;
        while thread_cpu_time() < before + Duration::from_millis(1) {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(7));
        }
    }
}
