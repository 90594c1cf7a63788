//! The emulator as a program: `scaleway-emulator --listen 127.0.0.1:8081 --clock x20`.

use clap::Parser;
use scaleway_emulator::{Emulator, options::ClockMode, options::Options};
use std::net::SocketAddr;
use std::process::ExitCode;

/// A Scaleway that runs on your machine. Point any official client at it with SCW_API_URL.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// How time passes: real, xN (x20 is 20 times faster), instant, or manual (moved by POST /_emulator/clock).
    #[arg(long, default_value = "real", value_parser = ClockMode::parse)]
    clock: ClockMode,
    /// Draw durations from the recorded spread instead of taking the recorded median.
    #[arg(long)]
    seed: Option<u64>,
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
    let emulator = Emulator::new(Options { clock: args.clock, seed: args.seed, ..Options::default() });
    println!("listening on http://{address} (SCW_API_URL=http://{address})");
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    emulator.serve(listener, stop).await.map_err(|e| e.to_string())
}
