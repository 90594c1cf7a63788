//! The emulator as a program: `scaleway-emulator --listen 127.0.0.1:8081 --clock x20`.

use clap::Parser;
use scaleway_emulator::options::{ClockMode, Options};
use scaleway_emulator::{Boot, Emulator};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// A local emulator of Scaleway. Point any official client at it with SCW_API_URL.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Address to listen on; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// How time passes: real, xN (x20 is 20 times faster), instant, or manual (moved by POST /_emulator/clock).
    #[arg(long, default_value = "real", value_parser = ClockMode::parse)]
    clock: ClockMode,
    /// Draw durations from the recorded spread instead of taking the recorded median.
    #[arg(long)]
    seed: Option<u64>,
    /// Start time of the clock, such as 2025-11-04T10:00:00Z; the API and its catalogue behave as of that time.
    #[arg(long, value_parser = moment)]
    now: Option<i64>,
    /// Number of requests that the journal keeps.
    #[arg(long, default_value_t = 10_000)]
    journal: usize,
    /// Start from a state saved by `--save` or GET /_emulator/state/saved.
    #[arg(long)]
    load: Option<PathBuf>,
    /// Write the state to this file on exit (Ctrl-C or SIGTERM).
    #[arg(long)]
    save: Option<PathBuf>,
    /// Command that plays the machine of a server: started with `/bin/sh -c` while the server runs.
    ///
    /// It finds what it needs in EMULATED_VM_ID, EMULATED_VM_SERVER_TYPE, EMULATED_VM_ADDRESS (IPv4, a loopback address
    /// of its own), EMULATED_VM_DIR (a folder that is kept until the server is deleted), EMULATED_VM_USER_DATA (a file
    /// with the user data `cloud-init`) and EMULATED_VM_VOLUMES (a folder with a file for each block volume). Its output
    /// goes to console.log in EMULATED_VM_DIR. When the server stops, its process group gets SIGTERM, and SIGKILL after
    /// 2 s.
    #[arg(long, value_name = "COMMAND")]
    boot: Option<String>,
    /// Folder for the disks of `--boot`: servers/ID and volumes/ID; default: a temporary one, deleted on exit.
    #[arg(long, value_name = "DIR", requires = "boot")]
    state_dir: Option<PathBuf>,
}

fn moment(text: &str) -> Result<i64, String> {
    let moment = text.parse::<jiff::Timestamp>().map_err(|_| "a moment such as 2026-07-30T12:00:00Z".to_owned())?;
    Ok(moment.as_microsecond())
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = runtime.map_err(|e| e.to_string()).and_then(|runtime| runtime.block_on(serve(args)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("scaleway-emulator: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> Result<(), String> {
    let listener = tokio::net::TcpListener::bind(args.listen)
        .await
        .map_err(|e| format!("cannot listen on {}: {e}; choose another --listen", args.listen))?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    let emulator = Emulator::new(Options {
        clock: args.clock,
        seed: args.seed,
        start_us: args.now,
        journal_len: args.journal,
        ..Options::default()
    });
    if let Some(path) = &args.load {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        emulator.load(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    let listen = |kind| signal(kind).map_err(|e| format!("cannot listen for signals: {e}"));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let machines = args.boot.map(|command| emulator.boot(&Boot { command, state_dir: args.state_dir })).transpose();
    let machines =
        machines.map_err(|e| format!("cannot create the disks for --boot: {e}; choose another --state-dir"))?;
    println!("listening on http://{address} (SCW_API_URL=http://{address})");
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        // Kills all machines.
        drop(machines);
    };
    emulator.serve(listener, stop).await.map_err(|e| e.to_string())?;
    match &args.save {
        Some(path) => std::fs::write(path, emulator.saved()).map_err(|e| format!("{}: {e}", path.display())),
        None => Ok(()),
    }
}
