//! The evidence of an instance's end, for people.

use super::{hourly, opt, text, word};
use inventiv_core::text::legible;
use inventiv_types::{ActionLog, InstanceProof, Proof, ResourceProof, Snapshot};

/// Snapshots of our volumes that third parties created, one line each. `unknown` says why some may be missing.
pub(crate) fn snapshots(snapshots: &[Snapshot], unknown: Option<&str>) -> Vec<String> {
    let unknown = unknown.map(|why| format!("  snapshots of our volumes may be missing: {}", legible(why)));
    snapshots.iter().map(snapshot).chain(unknown).collect()
}

fn snapshot(s: &Snapshot) -> String {
    let images =
        if s.images.is_empty() { String::new() } else { format!(", held by image {}", legible(&s.images.join(", "))) };
    format!(
        "  SNAPSHOT {} {:?}, {} GB of volume {}, {}{images}: not ours; delete it at the provider if nobody needs it",
        text(&s.id),
        text(&s.name),
        opt(s.size_gb),
        text(&s.volume_id),
        hourly(s.hourly_micros.unwrap_or_default(), "EUR"),
    )
}

/// The evidence of an instance's end, for people.
pub(crate) fn proof(p: &InstanceProof) -> String {
    let mut lines = vec![format!("{}  {}  {}", p.instance_id, p.status, text(&p.verdict))];
    lines.extend(p.resources.iter().flat_map(resource));
    if p.kept_hourly_micros > 0 {
        lines.push(format!("  retained resources cost about {}", hourly(p.kept_hourly_micros, &p.currency)));
    }
    lines.extend(snapshots(&p.snapshots, None));
    lines.extend(p.open.iter().map(|open| format!("  OPEN {}", legible(open))));
    lines.join("\n")
}

fn resource(r: &ResourceProof) -> Vec<String> {
    let id = r.provider_id.as_ref().unwrap_or(&r.name);
    let mut lines = vec![format!("  {} {}  {}", r.kind, text(id), word(&r.cleanup_state).to_uppercase())];
    lines.extend(r.given_to.as_ref().map(|to| format!("    given to instance {}, whose proof covers it", text(to))));
    lines.extend(r.came_with.as_ref().map(|server| format!("    came with server {}", text(server))));
    lines.extend(r.calls.iter().map(call));
    lines.extend(r.proof.iter().flat_map(evidence));
    lines
}

fn call(call: &ActionLog) -> String {
    let request = call.request_id.as_ref().map_or_else(String::new, |id| format!("  request {}", text(id)));
    format!("    {}  {} {}{request}", call.started_at, text(&call.action), call.status)
}

fn evidence(proof: &Proof) -> [String; 3] {
    [
        format!("    {}  {} → {}", proof.asked_at, text(&proof.asked), text(&proof.answer)),
        format!("    absent from the complete listing begun {}", opt(proof.absent_from_listing_begun_at)),
        match (proof.confirmed_at, proof.confirm_after) {
            (Some(at), _) => format!("    confirmed by a read begun {at}"),
            (None, Some(after)) => format!("    provisional: a listing that begins after {after} confirms it"),
            (None, None) => "    written before proofs were confirmed".to_owned(),
        },
    ]
}
