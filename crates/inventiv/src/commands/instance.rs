//! `inventiv instance`

use crate::args::{Connection, Create, InstanceCommand, Output};
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::output::{self, Columns, text};
use crate::progress::{Goal, Progress};
use crate::server::Asks;
use serde_json::{Map, Value, json};
use std::io::{BufRead, IsTerminal};
use std::time::{Duration, Instant};

/// The statuses that `list` shows by default.
const LIVING: &str = "provisioning,booting,ready,terminating";
const COLUMNS: Columns = Columns {
    name: "name",
    narrow: &[
        ("name", |i| text(i, "name")),
        ("status", |i| text(i, "status")),
        ("type", |i| text(i, "instance_type")),
        ("zone", |i| text(i, "zone")),
        ("age", |i| output::age(i, "created_at")),
        ("EUR/h", output::hourly_of_all),
    ],
    wide: &[
        ("account", |i| text(i, "account_id")),
        ("id", |i| text(i, "id")),
        ("model", |i| text(i, "model_id")),
        ("addresses", output::addresses),
        ("volumes", |i| text(i, "storage_count")),
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
            let status = Some(status).filter(|_| !all);
            let filters = [("status", status), ("account", account.clone()), ("zone", zone), ("model_id", model)];
            let query: Vec<(&str, &str)> = filters.iter().filter_map(|(k, v)| Some((*k, v.as_deref()?))).collect();
            output::list(output, &client.all("/instances", &query).await?, &COLUMNS);
            Ok(())
        }
        InstanceCommand::Show { id } => {
            let instance = client.get(&path(&id, "", of), &[]).await?;
            output::one(output, &instance, "name", output::instance);
            Ok(())
        }
        InstanceCommand::Rename { id, name } => {
            let instance = client.patch(&path(&id, "", of), &json!({ "name": name })).await?;
            output::one(output, &instance, "name", output::instance);
            Ok(())
        }
        InstanceCommand::Ssh { id, login, arguments } => {
            let instance = client.get(&path(&id, "", of), &[]).await?;
            Err(ssh(&instance, &login, &arguments))
        }
        InstanceCommand::Proof { id } => {
            let proof = client.get(&path(&id, "/proof", of), &[]).await?;
            output::one(output, &proof, "verdict", output::proof);
            if proof["clean"] == true { Ok(()) } else { Err(Failure::left_behind(text(&proof, "verdict"))) }
        }
        InstanceCommand::Terminate { ids, all, yes, wait, timeout } => {
            let ids = if all { all_that_live(&client, of, yes).await? } else { ids };
            let ended = terminate(&client, &ids, of, wait.then_some(timeout)).await;
            match ended.shown.as_slice() {
                [one] if ids.len() == 1 => output::one(output, one, "name", output::instance),
                several => output::list(output, several, &COLUMNS),
            }
            ended.failure.map_or(Ok(()), Err)
        }
    }
}

/// The path of an instance, which is looked for in the account if one is named.
fn path(id: &str, rest: &str, account: Option<&str>) -> String {
    let query = account.map_or_else(String::new, |a| format!("?account={}", encode(a)));
    format!("/instances/{}{rest}{query}", encode(id))
}

/// The ids of all living instances, after a confirmation. Terminating ones are included, to be waited for.
async fn all_that_live(client: &Client, account: Option<&str>, sure: bool) -> Result<Vec<String>, Failure> {
    let mut query = vec![("status", LIVING)];
    query.extend(account.map(|a| ("account", a)));
    let items = client.all("/instances", &query).await?;
    let ids: Vec<String> = items.iter().map(|i| text(i, "id")).collect();
    if sure || ids.is_empty() {
        return Ok(ids);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::refused("--all terminates every living instance: confirm with --yes"));
    }
    for i in &items {
        eprintln!("  {}  {}  {}", text(i, "name"), text(i, "status"), text(i, "instance_type"));
    }
    eprint!("Terminate {}, and delete the volumes that are not retained? [y/N] ", instances(ids.len()));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        Ok(ids)
    } else {
        Err(Failure::refused("nothing was changed"))
    }
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
    for (progress, mut instance) in asked {
        let ended = matches!(instance["status"].as_str(), Some("terminated" | "provisioning_failed"));
        if let Some(timeout) = wait.filter(|_| !ended) {
            let id = text(&instance, "id");
            let goes_on =
                format!("{id} continues to terminate: `inventiv instance proof {id}` shows when everything is gone");
            let left = timeout.saturating_sub(began.elapsed().as_secs());
            match follow(progress, "terminated", left, goes_on).await {
                Ok(followed) => instance = followed,
                Err(e) if e.code == Failure::INTERRUPTED => return Ended { shown, failure: Some(e) },
                Err(e) => {
                    failed.push((id, e));
                    continue;
                }
            }
        }
        shown.push(instance);
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
    shown: Vec<Value>,
    /// The last refusal or failure.
    failure: Option<Failure>,
}

/// Replaces this process with `ssh`; returns only on failure.
fn ssh(instance: &Value, login: &str, arguments: &[String]) -> Failure {
    use std::os::unix::process::CommandExt;
    let (name, status) = (text(instance, "name"), text(instance, "status"));
    // An instance that has ended is shown with the address that it had.
    let lives = !matches!(status.as_str(), "terminating" | "terminated" | "provisioning_failed");
    let Some(address) = instance["ip_address"].as_str().filter(|_| lives) else {
        return Failure::refused(format!("{name} is {status} and has no address to log in to"));
    };
    // Another instance with another host key may get this address later: `known_hosts` has the key by instance.
    let alias = format!("HostKeyAlias={}", text(instance, "id"));
    // OpenSSH also reads options after the address.
    let error = std::process::Command::new("ssh").args(["-o", &alias, "-l", login, address]).args(arguments).exec();
    Failure::general(format!("cannot run ssh: {error}"))
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

/// Resolves the name once: it may belong to another instance a moment later.
async fn ask_for_end<'c>(
    client: &'c Client,
    id: &str,
    account: Option<&str>,
) -> Result<(Progress<'c>, Value), Failure> {
    let id = text(&client.get(&path(id, "", account), &[]).await?, "id");
    let progress = follower(client, &id).after_history().await?;
    let instance = client.delete(&path(&id, "", None)).await?;
    Ok((progress, instance))
}

async fn create(client: &Client, args: Create, account: Option<&str>, output: Output) -> Result<(), Failure> {
    let mut request = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            request.insert(key.to_owned(), value);
        }
    };
    put("instance_type", json!(args.instance_type));
    put("account", json!(account));
    put("zone", json!(args.zone));
    put("model_id", json!(args.model));
    put("name", json!(args.name));
    put("image", json!(args.image));
    put("data_volume_gb", json!(args.data_volume_gb));
    put("boot_volume_gb", json!(args.boot_volume_gb));
    put("perf_iops", json!(args.perf_iops));
    put("delete_on_terminate", if args.retain { json!(false) } else { Value::Null });
    put("tags", if args.tags.is_empty() { Value::Null } else { json!(args.tags) });
    let keys: Vec<String> = args.ssh_keys.iter().map(|k| public_key(k)).collect::<Result<_, _>>()?;
    put("ssh_keys", if keys.is_empty() { Value::Null } else { json!(keys) });
    if let Some(file) = &args.user_data {
        let read = std::fs::read_to_string(file);
        let part = read.map_err(|e| Failure::general(format!("--user-data: {}: {e}", file.display())))?;
        put("user_data", json!(part));
    }
    let key = args.idempotency_key.as_deref();
    let mut instance = client.post_once("/instances", &Value::Object(request), key).await?;
    for warning in instance["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        eprintln!("warning: {warning}");
    }
    if args.wait {
        // Users who interrupt the wait must know what continues and costs money.
        let (id, name, price) = (text(&instance, "id"), text(&instance, "name"), output::hourly(&instance));
        eprintln!(
            "creating {name} ({id}) for {price}, not including volumes on block storage; this continues without this command. \
             A server with GPUs usually runs within half a minute."
        );
        let goes_on = format!("{name} continues and costs {price}: `inventiv instance terminate {name}` ends it");
        instance = follow(follower(client, &id), "ready", args.timeout, goes_on).await?;
    }
    output::one(output, &instance, "name", output::instance);
    Ok(())
}

/// Prints progress to standard error: standard output is for the result.
fn follower<'c>(client: &'c Client, id: &str) -> Progress<'c> {
    Progress::new(client, id, |line| eprintln!("{line}"))
}

/// Follows until the goal; an interrupt returns the message `goes_on`.
async fn follow(
    mut progress: Progress<'_>,
    status: &'static str,
    timeout: u64,
    goes_on: String,
) -> Result<Value, Failure> {
    let goal = Goal { status, timeout: Duration::from_secs(timeout), every: Duration::from_millis(500) };
    let mut asks = Asks::listen()?;
    tokio::select! {
        done = progress.follow(&goal) => done,
        () = asks.next() => Err(Failure::interrupted(goes_on)),
    }
}
