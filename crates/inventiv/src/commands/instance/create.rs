//! `inventiv instance create`

use super::{follow, follower, show};
use crate::args::{Create, Output};
use crate::client::Client;
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::output::{self, text};
use inventiv_types::{CreateInstance, InstanceDetail, InstancePlan, Status};

/// Creates an instance, after its plan was shown and confirmed.
pub(super) async fn create(
    client: &Client,
    args: Create,
    account: Option<&str>,
    output: Output,
) -> Result<(), Failure> {
    let (wait, timeout, key) = (args.wait, args.timeout, args.idempotency_key.clone());
    let (dry_run, yes, named) = (args.dry_run, args.yes, args.plan.clone());
    let mut request = request(args, account)?;
    // Whoever names a plan, or repeats a request, has seen what it costs.
    let is_known = named.is_some() || (yes && key.is_some());
    if dry_run || !is_known {
        let plan: InstancePlan = client.post("/plans", &request, None).await?;
        if dry_run {
            output::one(output, &plan, |p| text(&p.id), planned);
            return Ok(());
        }
        eprintln!("{}", output::plan(&plan));
        confirm("Create it?", "this costs money", yes)?;
        request.plan_id = Some(plan.id);
    }
    request.plan_id = named.or(request.plan_id);
    let mut detail: InstanceDetail = client.post("/instances", &request, key.as_deref()).await?;
    // A plan was shown with its warnings.
    for warning in detail.warnings.iter().filter(|_| is_known) {
        eprintln!("warning: {}", text(warning));
    }
    if wait {
        // Users who interrupt the wait must know what continues and costs money.
        let i = &detail.instance;
        let (id, name, price) = (i.id.clone(), text(&i.name), output::hourly(i.hourly_micros, &i.currency));
        eprintln!(
            "creating {name} ({id}) for {price}, not including volumes on block storage; this continues without this command. \
             A server with GPUs usually runs within half a minute; the model follows."
        );
        let goes_on = format!("{name} continues and costs {price}: `inventiv instance terminate {name}` ends it");
        detail = follow(follower(client, &id), Status::Ready, timeout, goes_on).await?;
    }
    show(output, &detail);
    Ok(())
}

/// A plan that was only to be shown.
fn planned(p: &InstancePlan) -> String {
    format!(
        "{}\nnothing was created; with `--plan {}`, the same command creates this within 24 hours, if it still holds",
        output::plan(p),
        text(&p.id)
    )
}

/// The request for a new instance. Reads the files that the arguments name.
fn request(args: Create, account: Option<&str>) -> Result<CreateInstance, Failure> {
    let keys: Vec<String> = args.ssh_keys.iter().map(|k| public_key(k)).collect::<Result<_, _>>()?;
    let user_data = args.user_data.map(|file| {
        let read = std::fs::read_to_string(&file);
        read.map_err(|e| Failure::general(format!("--user-data: {}: {e}", file.display())))
    });
    Ok(CreateInstance {
        name: args.name,
        account: account.map(str::to_owned),
        zone: args.zone,
        instance_type: args.instance_type,
        model_id: args.model,
        engine: args.engine.request()?,
        force: args.force.then_some(true),
        image: args.image,
        data_volume_gb: args.data_volume_gb,
        volume_id: args.volume_id,
        boot_volume_gb: args.boot_volume_gb,
        perf_iops: args.perf_iops,
        delete_on_terminate: args.retain.then_some(false),
        tags: Some(args.tags).filter(|tags| !tags.is_empty()),
        ssh_keys: Some(keys).filter(|keys| !keys.is_empty()),
        ttl_seconds: args.ttl.seconds(),
        idle_seconds: args.idle,
        user_data: user_data.transpose()?,
        plan_id: None,
    })
}

/// The public key, or the content of the file that holds it.
fn public_key(given: &str) -> Result<String, Failure> {
    if given.contains(' ') {
        return Ok(given.to_owned());
    }
    let read = std::fs::read_to_string(given);
    let key = read.map_err(|e| Failure::general(format!("--ssh-key: {given}: {e}")))?;
    if key.contains("PRIVATE KEY") {
        return Err(Failure::refused(format!("--ssh-key: {given} is a private key; give the public one, {given}.pub")));
    }
    Ok(key.trim().to_owned())
}
