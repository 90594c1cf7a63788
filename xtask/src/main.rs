//! The project's tasks, such as `cargo xtask check`, `test` or `bench`: see [`USAGE`]. Most are also `just` recipes.

mod background;
mod browser;
mod clients;
mod dist;
mod engines;
mod mutants;
mod postgres;
mod programs;
mod tests;
mod tidy;
mod vm;

use background::Background;
use programs::{PROFILE, cargo_command};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

const USAGE: &str = "cargo xtask TASK

  check          everything that CI runs: format, lints, tidy, tests on both databases, docs, licences
  test [ARGS]    all tests on both databases; ARGS go to `cargo test`
  tidy           the rules that the compiler does not check
  bench [PART]   measure, print a table, write bench.json; PART: lag, burst, lives, recovery, costs, past, replicas,
                 failover, fleet, workers, gateway (beside nginx and LiteLLM) or emulator alone
  clients        Scaleway's official clients against the emulator, a generated client against the control plane, the
                 official OpenAI clients for Python and JavaScript, and LiteLLM, through the gateway
  browser [--require] [--picture]
                 every page and action of the console in a real Chromium, with checks of accessibility; --require: fail
                 instead of skip where the browser cannot be had; --picture: renew the picture in the documentation
  engines [--require]
                 a real engine with a real model on the CPU, downloaded from a stand-in hub and asked by the official
                 OpenAI client; --require: fail instead of skip where the packages cannot be had
  replay DIR [--report FILE.json]
                 replay recordings of the real API against the emulator, compare every exchange, print the score
  simulate [--seeds N] [--first SEED]
                 deterministic simulation: runs of users, third parties, faults and crashes drawn from seeds; prints
                 each seed that fails
  crash-matrix [--every N] [WORD]
                 inject every fault once at every call and commit of every scenario; --every N: only each Nth cell;
                 WORD: only cells whose name contains it
  soak [--kills N] [--servers N]
                 kill the real executable at random moments while instances come and go, on both databases; also run
                 N replicas (3) on one PostgreSQL: kill, freeze, stop and disconnect them, and set wrong clocks
  upgrade --from COMMIT
                 replace three replicas of that commit by this one's, one after the other, while instances come and go
  mutants [core|WORD]
                 break each rule that protects money, in a copy, and check that a test fails; core: only with
                 cargo-mutants; WORD: only our own mutants whose description contains it
  vm [--require] [--engine | --only-engine]
                 user data, bootstrap, worker and data volume in a real virtual machine (QEMU); skipped where it cannot
                 be installed, unless it is required. With --engine, also a container with a real engine (ten minutes
                 more; inconclusive on a host that emulates a processor too slowly, unless it is required)
  dist           a static executable with unit file, manual page and completions; a container image; checksums
  openapi        write openapi.json from the code";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = args.split_first().map_or(("", &[][..]), |(t, r)| (t.as_str(), r));
    let done = match task {
        "check" => check(),
        "test" => tests::run(rest),
        "tidy" => tidy::run(&root()),
        "bench" => bench(rest),
        "browser" => browser::run(rest),
        "clients" => clients::run(),
        "engines" => engines::run(rest),
        "replay" => replay(rest),
        "simulate" => simulate(rest),
        "crash-matrix" => crash_matrix(rest),
        "soak" => soak(rest),
        "upgrade" => upgrade(rest),
        "dist" => dist::make(),
        "vm" => vm::run(rest),
        "mutants" => mutants::run(rest),
        "openapi" => write_openapi(),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, PathBuf::from)
}

fn check() -> Result<(), String> {
    step("format", || cargo(&["fmt", "--all", "--check"]))?;
    // In the profile of the tests: macros and build scripts are compiled once for all steps.
    let lint = ["clippy", "--profile", PROFILE, "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"];
    step("lints", || cargo(&lint))?;
    step("tidy", || tidy::run(&root()))?;
    step("build", || programs::build().map(drop))?;
    let simulation = Background::start("deterministic simulation", "simulate", &["--seeds", SEEDS])?;
    let matrix = Background::start("crash matrix", "crash_matrix", &["--every", EVERY])?;
    step("tests", || tests::run(&[]))?;
    step("official clients", clients::run)?;
    step("console in a browser", || browser::run(&[]))?;
    step("recordings against the emulator", recordings)?;
    let done = [simulation.finish(), matrix.finish()];
    done.into_iter().collect::<Result<(), _>>()?;
    step("docs", || {
        let mut command = cargo_command();
        command
            .args(["doc", "--profile", PROFILE, "--workspace", "--no-deps", "--quiet"])
            .env("RUSTDOCFLAGS", "--deny warnings");
        run(&mut command)
    })?;
    step("licences and sources", deny)
}

/// Simulation runs in each check: enough to inject every fault at every kind of call.
const SEEDS: &str = "2400";
/// Each check runs one of this many cells of the crash matrix.
const EVERY: &str = "25";

/// The score in percent that the emulator must reach, if there are recordings of the real API.
const REPLAY_GOAL: &str = "99.5";
/// The same for servers, volumes and block volumes.
const REPLAY_CORE_GOAL: &str = "100";

/// Recordings are not part of the repository: `SCW_RECORDINGS` names their folder, or they lie beside the checkout.
fn recordings() -> Result<(), String> {
    let beside = root().join("../shared/scaleway/recordings");
    let folder = std::env::var_os("SCW_RECORDINGS").map_or(beside, PathBuf::from);
    if !folder.is_dir() {
        println!("skipped: no recordings in {} (set SCW_RECORDINGS to another folder)", folder.display());
        return Ok(());
    }
    let folder = folder.display().to_string();
    replay(&[&folder, "--goal", REPLAY_GOAL, "--core-goal", REPLAY_CORE_GOAL, "--brief"].map(str::to_owned))
}

fn step(name: &str, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let began = std::time::Instant::now();
    println!("== {name}");
    work().map_err(|e| format!("{name}: {e}"))?;
    println!("== {name}: ok ({:.0} s)", began.elapsed().as_secs_f32());
    Ok(())
}

fn deny() -> Result<(), String> {
    let there = cargo_command().args(["deny", "--version"]).output().is_ok_and(|o| o.status.success());
    if there {
        return cargo(&["deny", "check", "licenses", "bans", "sources"]);
    }
    if std::env::var_os("CI").is_some() {
        return Err("cargo-deny is missing: cargo install --locked cargo-deny".to_owned());
    }
    println!("skipped: cargo-deny is not installed (cargo install --locked cargo-deny)");
    Ok(())
}

fn bench(args: &[String]) -> Result<(), String> {
    let mut emulator = cargo_command();
    emulator.args(["bench", "--package", "scaleway-emulator", "--bench", "emulator", "--"]).args(args);
    run(&mut emulator)?;
    if args.iter().any(|a| a == "emulator") {
        return Ok(());
    }
    cargo(&["build", "--release", "--package", "inventiv"])?;
    let postgres = postgres::Server::start()?;
    let target = programs::target();
    let mut command = cargo_command();
    command
        .args(["bench", "--package", "inventiv-testkit", "--bench", "control_plane", "--"])
        .args(args)
        .env("INVENTIV_BIN", target.join("release/inventiv"));
    postgres.tell(&mut command);
    let wants_gateway = args.is_empty() || args.iter().any(|a| a == "gateway");
    if wants_gateway && let Some(litellm) = clients::litellm(&target) {
        command.env("INVENTIV_BENCH_LITELLM", litellm);
    }
    run(&mut command)
}

fn soak(args: &[String]) -> Result<(), String> {
    let (mut kills, mut servers) = ("50", "3");
    for pair in args.chunks(2) {
        match pair {
            [flag, n] if flag == "--kills" && n.parse::<u32>().is_ok() => kills = n,
            [flag, n] if flag == "--servers" && n.parse::<u32>().is_ok_and(|n| (2..10).contains(&n)) => servers = n,
            _ => return Err(USAGE.to_owned()),
        }
    }
    let postgres = postgres::Server::start()?;
    let mut command = cargo_command();
    command
        .args(["test", "--profile", PROFILE, "--quiet", "--workspace"])
        .args(["--test", "soak", "--test", "traffic", "--", "--nocapture"])
        .env("INVENTIV_SOAK_KILLS", kills)
        .env("INVENTIV_SOAK_SERVERS", servers);
    postgres.tell(&mut command);
    run(&mut command)
}

fn upgrade(args: &[String]) -> Result<(), String> {
    let [flag, commit] = args else { return Err(USAGE.to_owned()) };
    if flag != "--from" {
        return Err(USAGE.to_owned());
    }
    let folder = root().join("target/upgrade");
    let source = folder.join("source");
    if source.exists() {
        run(Command::new("git").args(["worktree", "remove", "--force"]).arg(&source).current_dir(root()))?;
    }
    run(Command::new("git").args(["worktree", "add", "--detach"]).args([&source]).arg(commit).current_dir(root()))?;
    let built = folder.join("target");
    let mut old = cargo_command();
    old.args(["build", "--quiet", "--package", "inventiv", "--manifest-path"]).arg(source.join("Cargo.toml"));
    old.env("CARGO_TARGET_DIR", &built);
    run(&mut old)?;
    let postgres = postgres::Server::start()?;
    let mut command = cargo_command();
    command
        .args(["test", "--profile", PROFILE, "--quiet", "--workspace", "--test", "soak", "--", "--nocapture"])
        .arg("is_replaced")
        .env("INVENTIV_OLD_BIN", built.join("debug/inventiv"));
    postgres.tell(&mut command);
    let done = run(&mut command);
    run(Command::new("git").args(["worktree", "remove", "--force"]).arg(&source))?;
    done
}

fn simulate(args: &[String]) -> Result<(), String> {
    programs::start("simulate", args, "the simulation")
}

fn crash_matrix(args: &[String]) -> Result<(), String> {
    programs::start("crash_matrix", args, "the crash matrix")
}

fn replay(args: &[String]) -> Result<(), String> {
    programs::start("scaleway-replay", args, "the replay")
}

fn write_openapi() -> Result<(), String> {
    let mut command = cargo_command();
    command.args(["test", "--quiet", "--package", "inventiv-api", "openapi"]).env("INVENTIV_WRITE_OPENAPI", "1");
    run(&mut command)
}

fn cargo(args: &[&str]) -> Result<(), String> {
    run(cargo_command().args(args))
}

fn run(command: &mut Command) -> Result<(), String> {
    let status = command.current_dir(root()).status().map_err(|e| format!("{command:?}: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed: {status}")) }
}
