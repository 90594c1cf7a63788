//! The representation of a worker.

use inventiv_core::recorded::Instance;
use inventiv_core::status::Status;
use inventiv_core::worker::record::WorkerRecord;
use inventiv_core::worker::report::{DiskFacts, GpuFacts};
use inventiv_types::{
    Disk, DownloadProgress, EngineState, Gpu, Note, NoteCode, ProbeResult, ServingFailure, Time, Worker,
};

pub(crate) fn worker(i: &Instance) -> Option<Worker> {
    let record = i.worker.as_ref()?;
    let report = record.report.as_ref();
    Some(Worker {
        version: report.map(|r| r.version.clone()),
        phase: report.map(|r| r.phase),
        waits_for: record.waits_for.clone(),
        progress: report
            .and_then(|r| r.progress)
            .map(|p| DownloadProgress { done_bytes: p.done_bytes, total_bytes: p.total_bytes }),
        first_contact_at: record.handshake_at.map(Time),
        unreachable_since: record.lost.as_ref().map(|l| Time(l.since)),
        reported_at: record.reported_at.map(Time),
        engine: report.map(|r| EngineState {
            running: r.engine.running,
            restarts: r.engine.restarts,
            last_exit: r.engine.last_exit.clone(),
        }),
        probe: report.and_then(|r| r.probe.as_ref()).map(|p| ProbeResult {
            answered: p.answered,
            failures: p.failures,
            latency_ms: p.latency_ms,
            error: p.error.clone(),
        }),
        requests_in_flight: report.map(|r| r.in_flight),
        gpus: report.map(|r| r.gpus.iter().map(gpu).collect()).unwrap_or_default(),
        disks: report.map(|r| r.disks.iter().map(disk).collect()).unwrap_or_default(),
        memory_bytes: report.and_then(|r| r.memory_bytes),
        memory_free_bytes: report.and_then(|r| r.memory_free_bytes),
        failure: failure(i, record),
    })
}

fn failure(i: &Instance, record: &WorkerRecord) -> Option<ServingFailure> {
    let failure = record.failure.as_ref().filter(|_| i.status == Status::StartupFailed)?;
    Some(ServingFailure {
        code: failure.why.code.clone(),
        message: failure.why.message.clone(),
        at: Time(failure.at),
        ends_at: failure.ends_at.map(Time),
    })
}

/// What the instance waits for on its server.
pub(crate) fn worker_note(i: &Instance) -> Option<Note> {
    let record = i.worker.as_ref().filter(|_| !i.status.is_final() && i.status != Status::Terminating)?;
    if let Some(failure) = failure(i, record) {
        let text = format!("the model will not answer: {}", failure.message);
        return Some(Note { code: NoteCode::ActionNeeded, text, until: failure.ends_at });
    }
    let text = record.waits_for.clone()?;
    Some(Note { code: NoteCode::Waiting, text, until: None })
}

fn gpu(g: &GpuFacts) -> Gpu {
    Gpu {
        name: g.name.clone(),
        memory_bytes: g.memory_bytes,
        memory_used_bytes: g.memory_used_bytes,
        busy_percent: g.busy_percent,
        temperature_celsius: g.temperature_celsius,
        power_milliwatts: g.power_milliwatts,
        ecc_errors: g.ecc_errors,
        xid_errors: g.xid_errors.clone(),
    }
}

fn disk(d: &DiskFacts) -> Disk {
    Disk { mounted_at: d.mounted_at.clone(), total_bytes: d.total_bytes, free_bytes: d.free_bytes }
}
