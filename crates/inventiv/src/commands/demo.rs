//! `inventiv demo`: two instance life cycles and a service against an emulated cloud, and the proof that nothing is left
//! behind.

mod scaling;

use super::session;
use crate::accounts;
use crate::args::{Demo, Output};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, opt, print};
use crate::progress::{Goal, Progress};
use crate::server::{self, Running, Setup};
use inventiv_core::plan::Rules;
use inventiv_orchestrator::Config;
use inventiv_types::{CreateInstance, CreateSession, CreatedSession, InstanceDetail, ListOffers, Offer, Page, Status};
use scaleway_emulator::options::{ClockMode, Options};
use scaleway_emulator::{Boot, Emulator};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

const MODEL: &str = "Qwen/Qwen2.5-7B-Instruct";
const ZONE: &str = "fr-par-2";
const QUESTION: &str = "What do you cost when nobody asks?";
const PROJECT: &str = "11111111-1111-4111-8111-111111111111";
const SECRET: &str = "22222222-2222-4222-8222-222222222222";

/// An instance of the demo.
struct Life {
    instance_type: &'static str,
    /// A model that fits it.
    model: &'static str,
    /// What is special about its storage.
    special: &'static str,
    /// The volume sizes that it must show, in GB.
    sizes: &'static [i64],
}

const LIVES: [Life; 2] = [
    Life {
        instance_type: "RENDER-S",
        model: "Qwen/Qwen2.5-7B-Instruct-GGUF:Q4_K_M",
        special: "boots on the 400 GB disk that comes with it",
        sizes: &[400, 200],
    },
    Life {
        instance_type: "L40S-1-48G",
        model: MODEL,
        special: "boots on a block volume that survives every server operation; the cloud adds a scratch volume",
        sizes: &[20, 1600, 200],
    },
];

pub(crate) async fn run(args: Demo, output: Output) -> Result<(), Failure> {
    let folder = tempfile::tempdir().map_err(|e| Failure::general(format!("cannot create a temporary folder: {e}")))?;
    let emulator = Emulator::new(Options { clock: args.clock, ..Options::default() });
    let program = this_program()?;
    let boot = Boot { command: format!("exec '{program}' emulated-server"), state_dir: None };
    let machines =
        emulator.boot(&boot).map_err(|e| Failure::general(format!("the emulated servers cannot boot: {e}")))?;
    let cloud = serve_emulator(&emulator).await?;
    let mut running = serve(&args, cloud, folder.path()).await?;
    let token_file = folder.path().join("token");
    let client = Client::new(&format!("http://{}", running.address), crate::home::read_token(&token_file)?)?;
    wait_for_catalogue(&client).await?;
    let lives = async {
        let mut lives = Vec::new();
        for life in LIVES {
            let Life { instance_type, model, special, .. } = life;
            say(output, &format!("\n== {instance_type} in {ZONE} for {model}: {special}"));
            lives.push(live(&client, &args, &life, output).await?);
        }
        Ok::<_, Failure>(lives)
    };
    // The service lives at the same time, so that the demo is short.
    let (lives, scaled) = tokio::try_join!(lives, scaling::run(&client, running.address, &program))?;
    say(output, "\n== Meanwhile, a service: no replica, two while two clients ask, and none again");
    scaled.lines.iter().for_each(|line| say(output, line));
    let left = left_behind(&emulator);
    let count = |key: &str| left[key].as_array().map_or(0, Vec::len);
    let (servers, volumes, ips) = (count("servers"), count("volumes"), count("ips"));
    say(output, &format!("\nThe cloud itself still holds: {servers} servers, {volumes} volumes, {ips} addresses."));
    if output.is_for_programs() {
        let left = json!({"servers": servers, "volumes": volumes, "ips": ips});
        output::value(output, &json!({"lives": lives, "service": scaled.summary, "left_behind": left}));
    }
    if args.keep {
        stay(&mut running, cloud, &client, &token_file).await?;
    }
    running.shut_down().await?;
    drop(machines);
    if servers + volumes + ips > 0 {
        return Err(Failure::left_behind(format!("something is left behind: {left}")));
    }
    say(output, "Nothing is left behind.");
    Ok(())
}

/// The path of this executable, as the shell can use it between quotes.
fn this_program() -> Result<String, Failure> {
    let path = std::env::current_exe().map_err(|e| Failure::general(format!("cannot find this executable: {e}")))?;
    match path.to_str().filter(|p| !p.contains('\'')) {
        Some(path) => Ok(path.to_owned()),
        None => Err(Failure::general("the path of this executable contains a quote or is no text: move it")),
    }
}

/// Prints results for people; for programs, only the final object goes to standard output.
fn say(output: Output, line: &str) {
    if output.is_for_programs() { eprintln!("{line}") } else { print(line) }
}

pub(crate) async fn serve_emulator(emulator: &Emulator) -> Result<SocketAddr, Failure> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.map_err(|e| Failure::general(format!("cannot listen on loopback: {e}")))?;
    let address = listener.local_addr().map_err(|e| Failure::general(e.to_string()))?;
    let emulator = emulator.clone();
    tokio::spawn(async move { emulator.serve(listener, std::future::pending()).await });
    Ok(address)
}

async fn serve(args: &Demo, cloud: SocketAddr, folder: &std::path::Path) -> Result<Running, Failure> {
    // The demo never reads the user's own credentials.
    let env = |name: &str| match name {
        "SCW_SECRET_KEY" => Some(SECRET.to_owned()),
        "SCW_DEFAULT_PROJECT_ID" => Some(PROJECT.to_owned()),
        "SCW_API_URL" => Some(format!("http://{cloud}")),
        _ => None,
    };
    let account = accounts::log_in(accounts::DEFAULT, &env)?;
    let poll_ms = match args.clock {
        ClockMode::Scaled(n) => (1_000 / i64::from(n)).max(50),
        ClockMode::Instant => 50,
        ClockMode::Real | ClockMode::Manual => 1_000,
    };
    let config =
        Config { control_plane: "demo".to_owned(), rules: Rules { poll_ms, ..Rules::default() }, ..Config::default() };
    server::start(Setup {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        gateway_listen: None,
        database: format!("sqlite:{}", folder.join("demo.db").display()),
        token: crate::home::token(&folder.join("token"))?,
        keyring: Arc::new(crate::home::keyring(&folder.join("key"))?),
        limits: inventiv_api::Limits::default(),
        allowed_hosts: Vec::new(),
        accounts: vec![account],
        zones: vec![ZONE.to_owned()],
        config,
        consistency_window_ms: None,
        calls_per_second: Some(500.0),
        forced_data_volume_gb: None,
        worker_binary: None,
    })
    .await
}

async fn wait_for_catalogue(client: &Client) -> Result<(), Failure> {
    for _ in 0..200 {
        let query = ListOffers { zone: Some(ZONE.to_owned()), ..ListOffers::default() };
        let offers: Page<Offer> = client.get("/offers", &query).await?;
        if !offers.items.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(Failure::timeout("the catalogue of the emulated cloud could not be read within 10 seconds"))
}

async fn live(client: &Client, args: &Demo, life: &Life, output: Output) -> Result<Value, Failure> {
    let Life { instance_type: kind, model, sizes, .. } = *life;
    let request = CreateInstance {
        name: Some(format!("demo {kind}")),
        model_id: Some(model.to_owned()),
        ..CreateInstance::of_type(ZONE, kind)
    };
    let created: InstanceDetail = client.post("/instances", &request, None).await?;
    let id = created.instance.id;
    let patience = if args.clock == ClockMode::Real { 900 } else { 120 };
    let goal = |status| Goal { status, timeout: Duration::from_secs(patience), every: Duration::from_millis(50) };
    let mut progress =
        Progress::new(client, &id, if output.is_for_programs() { |line| eprintln!("{line}") } else { print });
    let ready = progress.follow(&goal(Status::Ready)).await?;
    say(
        output,
        &format!(
            "\nready: storage_count={} storage_sizes_gb={}",
            ready.instance.storage_count,
            output::sizes(&ready.instance)
        ),
    );
    say(output, &output::storages(&ready.storages));
    if ready.instance.storage_sizes_gb != sizes.iter().copied().map(Some).collect::<Vec<_>>() {
        let text = format!("{id} has the volume sizes {} instead of {sizes:?}", output::sizes(&ready.instance));
        return Err(Failure::left_behind(text));
    }
    say(output, &format!("\nasked: {QUESTION}\nanswered: {}", ask(client, &id, model).await?));
    client.delete::<InstanceDetail>(&format!("/instances/{id}")).await?;
    let terminated = progress.follow(&goal(Status::Terminated)).await?;
    say(output, "\nterminated. The proof for each volume:");
    for v in &terminated.storages {
        let Some(proof) = &v.proof else {
            return Err(Failure::left_behind(format!("volume {} has no proof", v.id)));
        };
        let id = opt(v.provider_volume_id.as_ref());
        say(output, &format!("  {} GB {} {id}", opt(v.size_gb), v.volume_type));
        say(output, &format!("    asked {} at {}", proof.asked, proof.asked_at));
        say(output, &format!("    answered {}", proof.answer));
        let listing = opt(proof.absent_from_listing_begun_at);
        say(output, &format!("    and absent from the complete listing begun at {listing}"));
    }
    Ok(json!({"instance": output::json(&ready), "terminated": output::json(&terminated)}))
}

/// Asks the model of an instance one question, through its worker.
async fn ask(client: &Client, id: &str, model: &str) -> Result<String, Failure> {
    let question = json!({"model": model, "messages": [{"role": "user", "content": QUESTION}]});
    let answer: Value = client.post(&format!("/instances/{id}/v1/chat/completions"), &question, None).await?;
    let text = answer.pointer("/choices/0/message/content").and_then(Value::as_str);
    text.map(output::text).ok_or_else(|| Failure::general(format!("{id} answered without a text")))
}

fn left_behind(emulator: &Emulator) -> Value {
    emulator.state()
}

async fn stay(
    running: &mut Running,
    cloud: SocketAddr,
    client: &Client,
    token_file: &std::path::Path,
) -> Result<(), Failure> {
    let api = running.address;
    let request = CreateSession { name: Some("demo".to_owned()), ..CreateSession::default() };
    let session: CreatedSession = client.post("/sessions", &request, None).await?;
    let console = session::link(&format!("http://{api}"), &session);
    eprintln!(
        "\nRunning until Ctrl-C. Open the console in a browser:\n  {console}\n\n  API             http://{api}\n  emulated cloud  http://{cloud}/_emulator/state\n\n\
         Paste:\n  export INVENTIV_URL=http://{api} INVENTIV_TOKEN_FILE={}\n  \
         inventiv offer list\n  inventiv instance create --zone {ZONE} --type L40S-1-48G --model {MODEL} --wait\n  \
         inventiv service create {MODEL}\n  inventiv instance list\n  inventiv volume list\n  \
         curl -s -H \"Authorization: Bearer $(cat $INVENTIV_TOKEN_FILE)\" $INVENTIV_URL/instances\n  \
         curl -s http://{cloud}/_emulator/state",
        token_file.display()
    );
    running.until_asked_to_stop().await
}
