//! The GPUs, as NVIDIA's driver shows them.

use inventiv_core::worker::report::GpuFacts;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

const QUERY: &str = "--query-gpu=name,memory.total,memory.used,utilization.gpu,temperature.gpu,power.draw,\
    ecc.errors.uncorrected.volatile.total";
/// How long a question to the driver may take.
const LIMIT: Duration = Duration::from_secs(20);
/// How many errors of the driver are shown.
const XID_MAX: usize = 5;

/// The GPUs of this machine; empty if there is none, or no driver.
pub(crate) async fn gpus() -> Vec<GpuFacts> {
    let run = |program: &'static str, args: &'static [&'static str]| async move {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        // The driver of a broken GPU may never answer.
        let output = tokio::time::timeout(LIMIT, command.output()).await.ok()?.ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let Some(rows) = run("nvidia-smi", &[QUERY, "--format=csv,noheader,nounits"]).await else { return Vec::new() };
    let kernel = run("dmesg", &["--notime"]).await.unwrap_or_default();
    let xids = xid_errors(&kernel);
    rows.lines().filter_map(|row| gpu(row, &xids)).collect()
}

/// One row of `nvidia-smi --format=csv,noheader,nounits`: memory in MiB, power in watts. A driver shows `[N/A]` or
/// `[Not Supported]` for what it does not know.
fn gpu(row: &str, xid_errors: &[String]) -> Option<GpuFacts> {
    let fields: Vec<&str> = row.split(',').map(str::trim).collect();
    let name = fields.first().filter(|n| !n.is_empty())?;
    let whole = |n: usize| fields.get(n).and_then(|f| f.parse::<i64>().ok());
    #[expect(clippy::cast_possible_truncation, reason = "watts of one GPU are far below 2^53")]
    let milli = |n: usize| fields.get(n).and_then(|f| f.parse::<f64>().ok()).map(|v| (v * 1_000.0).round() as i64);
    Some(GpuFacts {
        name: (*name).to_owned(),
        memory_bytes: whole(1).map(|mib| mib << 20),
        memory_used_bytes: whole(2).map(|mib| mib << 20),
        busy_percent: whole(3),
        temperature_celsius: whole(4),
        power_milliwatts: milli(5),
        ecc_errors: whole(6),
        xid_errors: xid_errors.to_vec(),
    })
}

/// The last errors of the driver in the kernel's log.
fn xid_errors(kernel: &str) -> Vec<String> {
    let mut found: Vec<String> =
        kernel.lines().rev().filter(|l| l.contains("NVRM: Xid")).take(XID_MAX).map(|l| l.trim().to_owned()).collect();
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_driver_are_read() {
        let l40s = gpu("NVIDIA L40S, 46068, 1024, 37, 51, 132.55, 0", &[]).unwrap();
        assert_eq!(l40s.name, "NVIDIA L40S");
        assert_eq!((l40s.memory_bytes, l40s.memory_used_bytes), (Some(46_068 << 20), Some(1 << 30)));
        assert_eq!((l40s.busy_percent, l40s.temperature_celsius), (Some(37), Some(51)));
        assert_eq!((l40s.power_milliwatts, l40s.ecc_errors), (Some(132_550), Some(0)));
        let old = gpu("Tesla P100-PCIE-16GB, 16384, [N/A], [Not Supported], 40, [N/A], [N/A]", &[]).unwrap();
        assert_eq!((old.memory_used_bytes, old.busy_percent, old.power_milliwatts), (None, None, None));
        assert_eq!(gpu("", &[]), None);
    }

    #[test]
    fn the_last_errors_of_the_driver_are_found() {
        let line = |n: usize| format!("NVRM: Xid (PCI:0000:01:00): {n}, pid=1, name=python");
        let kernel = format!("usb 1-1: new device\n{}\nother\n{}\n", line(79), line(48));
        assert_eq!(xid_errors(&kernel), [line(79), line(48)]);
        assert!(xid_errors("nothing").is_empty());
    }
}
