//! Runs that use one core each.
//!
//! A run and its SQLite database are two threads that wait for each other. On different cores, each wait ends with an
//! interrupt of the other core: about a tenth of the processor time of a run.

/// Keeps this thread, and those that it starts from now on, on the core for the worker of this number.
///
/// Where the system does not support it, nothing changes but the speed.
pub fn keep_to_core(worker: usize) {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
        let Ok(allowed) = sched_getaffinity(None) else { return };
        let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|n| allowed.is_set(*n)).collect();
        let Some(core) = cores.get(worker % cores.len().max(1)) else { return };
        let mut one = CpuSet::new();
        one.set(*core);
        let _ = sched_setaffinity(None, &one);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = worker;
}
