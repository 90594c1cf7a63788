//! `inventiv recover`: rebuilds a lost or restored database from the names and tags in the cloud; a plan first.

use crate::accounts;
use crate::args::{Output, Recover};
use crate::failure::Failure;
use crate::home;
use crate::output::{self, print};
use crate::server::check_owner;
use inventiv_core::name::is_control_plane;
use inventiv_core::recorded::{Aggregate, Volume};
use inventiv_core::size::gb_ceil;
use inventiv_core::status::{Origin, VolumeStatus};
use inventiv_orchestrator::clock::{ClockIds, SharedClock};
use inventiv_orchestrator::{Clock, Config, Orchestrator, ZoneRecovery};
use inventiv_store::Store;
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) async fn run(args: Recover, output: Output) -> Result<(), Failure> {
    if !is_control_plane(&args.control_plane) {
        return Err(Failure::refused("--from-provider: must be a control plane id, 1 to 16 characters of a-z and 0-9"));
    }
    let account = accounts::log_in(&args.account, &|name| std::env::var(name).ok())?;
    let zones = accounts::zones(account.cloud, &args.zones)?;
    let database = home::database(args.database)?;
    let store = Store::open(&database).await.map_err(|e| Failure::general(e.to_string()))?;
    check_owner(&store, &args.control_plane).await?;
    let clock = Arc::new(SharedClock::default());
    clock.set_by(&store).await.map_err(|e| Failure::general(e.to_string()))?;
    let provider_clock = clock.clone();
    let now = Arc::new(move || provider_clock.now());
    let provider = account.connect(account.cloud.calls_per_second, now)?;
    let config = Config { control_plane: args.control_plane.clone(), zones, ..Config::default() };
    let ids = Arc::new(ClockIds::new(clock.clone()));
    let orchestrator = Orchestrator::new(store, provider, clock, ids, config);
    let plan = orchestrator.plan_recovery().await.map_err(|e| Failure::general(e.to_string()))?;
    let blind: Vec<&str> = plan.iter().filter(|z| z.found.is_err()).map(|z| z.zone.as_str()).collect();
    let hidden = |z: &ZoneRecovery| {
        z.found.as_ref().is_ok_and(|r| r.hidden.is_some() && r.instances.is_empty() && r.known + r.foreign == 0)
    };
    let all_hidden = !plan.is_empty() && plan.iter().all(hidden);
    let found: usize =
        plan.iter().filter_map(|z| z.found.as_ref().ok()).map(|r| r.instances.len() + r.policies.len()).sum();
    let written = if args.apply && blind.is_empty() {
        orchestrator.apply_recovery(&plan).await.map_err(|e| Failure::general(e.to_string()))?
    } else {
        0
    };
    match output.is_for_programs() {
        true => output::value(
            output,
            &json!({
                "control_plane": args.control_plane, "applied": args.apply && blind.is_empty(), "written": written,
                "zones": plan.iter().map(zone_json).collect::<Vec<_>>(),
            }),
        ),
        false => {
            plan.iter().for_each(|z| print(&zone_lines(z, &args.control_plane)));
            print(&match (found, args.apply, blind.is_empty() && !all_hidden) {
                (_, _, false) => "nothing was written".to_owned(),
                (0, ..) => "nothing is to be rebuilt".to_owned(),
                (n, false, _) => {
                    format!("{n} instance(s) or policies can be rebuilt; nothing was written: --apply writes them")
                }
                (_, true, _) => {
                    format!("{written} instance(s) or policies written; `inventiv audit` shows what is left to do")
                }
            });
        }
    }
    if all_hidden {
        // Never used, or not visible: a user who recovers expects resources.
        return Err(Failure::unreachable(
            "the provider shows nothing at all in these zones: use credentials that see the project (SCW_DEFAULT_PROJECT_ID), \
             or other --zones",
        ));
    }
    if blind.is_empty() {
        return Ok(());
    }
    Err(Failure::unreachable(format!("the recovery is inconclusive in {}; the lines above say why", blind.join(", "))))
}

fn zone_lines(zone: &ZoneRecovery, control_plane: &str) -> String {
    let found = match &zone.found {
        Ok(found) => found,
        Err(why) => return format!("{}  CANNOT SAY: {why}", zone.zone),
    };
    let mut lines = vec![format!(
        "{}  {} instance(s) of `{control_plane}` to be rebuilt; {} resource(s) of recorded instances, {} of third parties",
        zone.zone,
        found.instances.len(),
        found.known,
        found.foreign
    )];
    for agg in &found.instances {
        let i = &agg.instance;
        let model = i.model_id.as_deref().unwrap_or("model unknown");
        match agg.server() {
            Some(s) => {
                let (state, id) = (s.state.as_deref().unwrap_or("-"), s.provider_id.as_deref().unwrap_or("-"));
                lines.push(format!("  {}  {} {state}, server {id}, {model}", i.id, i.instance_type));
            }
            None => lines.push(format!("  {}  ended: no server; its volumes are recorded as retained", i.id)),
        }
        lines.extend(agg.volumes.iter().map(|v| format!("    {}", volume_line(v))));
    }
    lines.extend(found.policies.iter().map(|p| {
        let word = |delete: bool| if delete { "delete" } else { "keep" };
        format!(
            "  {}  volume {} ({}): the cloud says `{}` (version {}), the records say `{}`: the cloud's version is newer",
            p.instance_id,
            p.volume_id,
            p.provider_id,
            word(p.cloud.delete),
            p.cloud.version,
            word(p.recorded_delete)
        )
    }));
    lines.extend(found.hidden.iter().map(|why| format!("  {why}")));
    for (other, n) in &found.others {
        let text =
            format!("  {n} of them carry the name of control plane `{other}`: is that the id? --from-provider {other}");
        lines.push(text);
    }
    for (server, why) in &found.left {
        lines.push(format!("  NOT TAKEN OVER server {} {}: {why}", server.id, server.name));
    }
    lines.join("\n")
}

fn policy(v: &Volume) -> &'static str {
    match (v.origin, v.status) {
        (Origin::Foreign, _) => "third party's: never deleted",
        (_, VolumeStatus::Retained) => "retained until it is released",
        _ if v.delete_on_terminate => "deleted with its instance",
        _ => "retained when its instance ends",
    }
}

fn volume_line(v: &Volume) -> String {
    let size = v.size_bytes.map_or_else(|| "size unknown".to_owned(), |b| format!("{} GB", gb_ceil(b)));
    let id = v.provider_id.as_deref().unwrap_or("-");
    format!("{} {size} {id} {}: {}", v.volume_type, if v.is_boot { "(boot)" } else { "" }, policy(v))
}

fn zone_json(zone: &ZoneRecovery) -> Value {
    let instance = |agg: &Aggregate| {
        let volume = |v: &Volume| {
            json!({"provider_volume_id": v.provider_id, "name": v.name, "volume_type": v.volume_type.name,
                "size_bytes": v.size_bytes, "is_boot": v.is_boot, "origin": v.origin.text(),
                "delete_on_terminate": v.delete_on_terminate, "status": v.status.text()})
        };
        let i = &agg.instance;
        json!({"id": i.id.as_str(), "status": i.status.text(), "instance_type": i.instance_type, "model_id": i.model_id,
            "provider_instance_id": agg.server().and_then(|s| s.provider_id.clone()),
            "storages": agg.volumes.iter().map(volume).collect::<Vec<_>>()})
    };
    match &zone.found {
        Err(why) => json!({"zone": zone.zone, "inconclusive": why}),
        Ok(found) => json!({
            "zone": zone.zone, "inconclusive": null, "known": found.known, "foreign": found.foreign,
            "policies": found.policies.iter().map(|p| json!({"instance_id": p.instance_id.as_str(), "volume_id": p.volume_id.as_str(),
                "provider_volume_id": p.provider_id, "recorded_delete_on_terminate": p.recorded_delete,
                "delete_on_terminate": p.cloud.delete, "policy_version": p.cloud.version})).collect::<Vec<_>>(),
            "other_control_planes": found.others, "hidden": found.hidden,
            "instances": found.instances.iter().map(instance).collect::<Vec<_>>(),
            "left": found.left.iter().map(|(s, why)| json!({"provider_instance_id": s.id, "name": s.name, "why": why})).collect::<Vec<_>>(),
        }),
    }
}
