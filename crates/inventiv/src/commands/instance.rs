//! `inventiv instance`

mod create;

use crate::args::{Connection, InstanceCommand, Output, Wait};
use crate::client::{Client, encode};
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::output::{self, Columns, opt, text};
use crate::progress::{Goal, Progress};
use crate::server::Asks;
use create::create;
use inventiv_types::{
    ChangeInstance, Extend, Instance, InstanceDetail, InstanceProof, ListInstances, ListLogLines, Status,
};
use std::time::{Duration, Instant};

/// The statuses that `list` shows by default.
const LIVING: &str =
    "provisioning,booting,installing,starting,ready,unavailable,startup_failed,draining,stopping,stopped,terminating";
const COLUMNS: Columns<Instance> = Columns {
    name: |i| text(&i.name),
    narrow: &[
        ("name", |i| text(&i.name)),
        ("status", |i| text(i.status)),
        ("type", |i| text(&i.instance_type)),
        ("zone", |i| text(&i.zone)),
        ("age", |i| output::age(i.created_at)),
        ("EUR/h", output::hourly_of_all),
    ],
    wide: &[
        ("account", |i| text(&i.account_id)),
        ("id", |i| text(&i.id)),
        ("model", |i| opt(i.model_id.as_ref())),
        ("addresses", output::addresses),
        ("volumes", |i| text(i.storage_count)),
        ("GB", output::sizes),
    ],
};

pub(crate) async fn run(
    command: InstanceCommand,
    connection: &Connection,
    account: Option<String>,
    output: Output,
) -> Result<(), Failure> {
    let client = Client::connect(connection)?;
    let of = account.as_deref();
    match command {
        InstanceCommand::Create(args) => create(&client, *args, of, output).await,
        InstanceCommand::List { all, status, zone, model } => {
            let status = if status.is_empty() { LIVING.to_owned() } else { status.join(",") };
            let (status, account) = (Some(status).filter(|_| !all), account.clone());
            let query = ListInstances { status, account, zone, model_id: model, ..ListInstances::default() };
            let items: Vec<Instance> = client.all("/instances", &query).await?;
            output::list(output, &items, &COLUMNS);
            Ok(())
        }
        InstanceCommand::Show { id } => {
            show(output, &find(&client, &id, of).await?);
            Ok(())
        }
        InstanceCommand::Rename { id, name } => {
            show(output, &client.patch(&path(&id, "", of), &ChangeInstance { name }).await?);
            Ok(())
        }
        InstanceCommand::Extend { id, ttl } => {
            let body = Extend { ttl_seconds: ttl.seconds() };
            show(output, &client.post(&path(&id, "/extend", of), &body, None).await?);
            Ok(())
        }
        InstanceCommand::Logs { id, follow, source, tail } => {
            let query = ListLogLines { account, follow: Some(follow), source, tail: Some(tail) };
            super::logs::run(&client, &id, &query, output).await
        }
        InstanceCommand::Ssh { id, login, arguments } => {
            Err(ssh(&find(&client, &id, of).await?.instance, &login, &arguments))
        }
        InstanceCommand::Stop { id, wait } => power(&client, &id, of, Power::Stop, Some(wait), output).await,
        InstanceCommand::Start { id, wait } => power(&client, &id, of, Power::Start, Some(wait), output).await,
        InstanceCommand::Reboot { id } => power(&client, &id, of, Power::Reboot, None, output).await,
        InstanceCommand::Proof { id } => {
            let proof: InstanceProof = client.get(&path(&id, "/proof", of), &()).await?;
            output::one(output, &proof, |p| text(&p.verdict), output::proof);
            if proof.clean { Ok(()) } else { Err(Failure::left_behind(text(&proof.verdict))) }
        }
        InstanceCommand::Terminate { ids, all, yes, wait, timeout } => {
            let ids = if all { all_that_live(&client, of, yes).await? } else { ids };
            let ended = terminate(&client, &ids, of, wait.then_some(timeout)).await;
            match ended.shown.as_slice() {
                [] if !output.is_for_programs() => {}
                [one] if ids.len() == 1 => show(output, one),
                several => list(output, several),
            }
            ended.failure.map_or(Ok(()), Err)
        }
    }
}

fn show(output: Output, detail: &InstanceDetail) {
    output::one(output, detail, |d| text(&d.instance.name), output::instance);
}

/// Lists instances; programs get all that is known of each.
fn list(output: Output, details: &[InstanceDetail]) {
    if matches!(output, Output::Json | Output::Yaml) {
        return output::value(output, &output::json(details));
    }
    let instances: Vec<Instance> = details.iter().map(|d| d.instance.clone()).collect();
    output::list(output, &instances, &COLUMNS);
}

async fn find(client: &Client, id: &str, account: Option<&str>) -> Result<InstanceDetail, Failure> {
    client.get(&path(id, "", account), &()).await
}

/// Stops, starts or reboots an instance.
#[derive(Clone, Copy)]
enum Power {
    Stop,
    Start,
    Reboot,
}

async fn power(
    client: &Client,
    id: &str,
    account: Option<&str>,
    power: Power,
    wait: Option<Wait>,
    output: Output,
) -> Result<(), Failure> {
    let (rest, goal) = match power {
        Power::Stop => ("/stop", Status::Stopped),
        Power::Start => ("/start", Status::Ready),
        Power::Reboot => ("/reboot", Status::Ready),
    };
    // The name is resolved once: it may belong to another instance a moment later.
    let id = find(client, id, account).await?.instance.id;
    let progress = follower(client, &id).after_history().await?;
    let mut detail: InstanceDetail = client.post(&path(&id, rest, None), &(), None).await?;
    if let Some(wait) = wait.filter(|w| w.wait) {
        let goes_on = format!("{id} goes on: `inventiv instance show {id}` shows its status");
        detail = follow(progress, goal, wait.timeout, goes_on).await?;
    }
    show(output, &detail);
    Ok(())
}

/// The path of an instance, which is looked for in the account if one is named.
fn path(id: &str, rest: &str, account: Option<&str>) -> String {
    let query = account.map_or_else(String::new, |a| format!("?account={}", encode(a)));
    format!("/instances/{}{rest}{query}", encode(id))
}

/// The ids of all living instances, after a confirmation. Terminating ones are included, to be waited for.
async fn all_that_live(client: &Client, account: Option<&str>, sure: bool) -> Result<Vec<String>, Failure> {
    let (status, account) = (Some(LIVING.to_owned()), account.map(str::to_owned));
    let query = ListInstances { status, account, ..ListInstances::default() };
    let items: Vec<Instance> = client.all("/instances", &query).await?;
    let ids: Vec<String> = items.iter().map(|i| i.id.clone()).collect();
    if ids.is_empty() {
        return Ok(ids);
    }
    let list: Vec<String> =
        items.iter().map(|i| format!("  {}  {}  {}\n", text(&i.name), i.status, text(&i.instance_type))).collect();
    let n = instances(ids.len());
    let question = format!("{}Terminate {n}, and delete the volumes that are not retained?", list.concat());
    confirm(&question, "--all terminates every living instance", sure)?;
    Ok(ids)
}

fn instances(n: usize) -> String {
    if n == 1 { "1 instance".to_owned() } else { format!("{n} instances") }
}

/// Requests all terminations first, then follows them: none waits for another. A refusal does not stop the others.
async fn terminate(client: &Client, ids: &[String], account: Option<&str>, wait: Option<u64>) -> Ended {
    let (mut asked, mut failed, mut shown) = (Vec::new(), Vec::new(), Vec::new());
    for id in ids {
        match ask_for_end(client, id, account).await {
            Ok(one) => asked.push(one),
            Err(e) => failed.push((id.clone(), e)),
        }
    }
    let began = Instant::now();
    for (progress, mut detail) in asked {
        let ended = detail.instance.status.is_final();
        if let Some(timeout) = wait.filter(|_| !ended) {
            let id = detail.instance.id.clone();
            let goes_on =
                format!("{id} continues to terminate: `inventiv instance proof {id}` shows when everything is gone");
            let left = timeout.saturating_sub(began.elapsed().as_secs());
            match follow(progress, Status::Terminated, left, goes_on).await {
                Ok(followed) => detail = followed,
                Err(e) if e.code == Failure::INTERRUPTED => return Ended { shown, failure: Some(e) },
                Err(e) => {
                    failed.push((id, e));
                    continue;
                }
            }
        }
        shown.push(detail);
    }
    // The command returns the last failure; the others are printed here.
    let last = failed.pop();
    for (id, e) in failed {
        eprintln!("inventiv: {id}: {}", e.message);
    }
    Ended { shown, failure: last.map(|(_, e)| e) }
}

/// The results of the requested terminations.
struct Ended {
    shown: Vec<InstanceDetail>,
    /// The last refusal or failure.
    failure: Option<Failure>,
}

/// Replaces this process with `ssh`; returns only on failure.
fn ssh(instance: &Instance, login: &str, arguments: &[String]) -> Failure {
    use std::os::unix::process::CommandExt;
    // An instance that has ended is shown with the address that it had.
    let off = matches!(instance.status, Status::Stopping | Status::Stopped | Status::Terminating);
    let lives = !off && !instance.status.is_final();
    let Some(address) = instance.ip_address.as_deref().filter(|_| lives) else {
        let (name, status) = (text(&instance.name), instance.status);
        return Failure::refused(format!("{name} is {status} and has no address to log in to"));
    };
    // Another instance with another host key may get this address later: `known_hosts` has the key by instance.
    let alias = format!("HostKeyAlias={}", instance.id);
    // OpenSSH also reads options after the address.
    let error = std::process::Command::new("ssh").args(["-o", &alias, "-l", login, address]).args(arguments).exec();
    Failure::general(format!("cannot run ssh: {error}"))
}

/// Resolves the name once: it may belong to another instance a moment later.
async fn ask_for_end<'c>(
    client: &'c Client,
    id: &str,
    account: Option<&str>,
) -> Result<(Progress<'c>, InstanceDetail), Failure> {
    let id = find(client, id, account).await?.instance.id;
    let progress = follower(client, &id).after_history().await?;
    let detail = client.delete(&path(&id, "", None)).await?;
    Ok((progress, detail))
}

/// Prints progress to standard error: standard output is for the result.
fn follower<'c>(client: &'c Client, id: &str) -> Progress<'c> {
    Progress::new(client, id, |line| eprintln!("{line}"))
}

/// Follows until the goal; an interrupt returns the message `goes_on`.
async fn follow(
    mut progress: Progress<'_>,
    status: Status,
    timeout: u64,
    goes_on: String,
) -> Result<InstanceDetail, Failure> {
    let goal = Goal { status, timeout: Duration::from_secs(timeout), every: Duration::from_millis(500) };
    let mut asks = Asks::listen()?;
    tokio::select! {
        done = progress.follow(&goal) => done,
        () = asks.next() => Err(Failure::interrupted(goes_on)),
    }
}
