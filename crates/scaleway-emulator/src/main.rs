//! The emulator as a program: `scaleway-emulator --listen 127.0.0.1:8081 --clock x20`.

use clap::Parser;
use scaleway_emulator::{Emulator, options::ClockMode, options::Options};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

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
    /// Write the state to this file on exit (Ctrl-C).
    #[arg(long)]
    save: Option<PathBuf>,
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
    println!("listening on http://{address} (SCW_API_URL=http://{address})");
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    emulator.serve(listener, stop).await.map_err(|e| e.to_string())?;
    match &args.save {
        Some(path) => std::fs::write(path, emulator.saved()).map_err(|e| format!("{}: {e}", path.display())),
        None => Ok(()),
    }
}
