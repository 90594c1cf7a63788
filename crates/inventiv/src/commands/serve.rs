//! `inventiv serve`: API and orchestrator in one process.

use crate::accounts::{self, LoggedIn};
use crate::args::{LogFormat, OrphanPolicy, Serve};
use crate::failure::Failure;
use crate::home;
use crate::server::{self, Setup};
use inventiv_api::Limits;
use inventiv_core::lease::Terms;
use inventiv_core::name::is_control_plane;
use inventiv_core::plan::Rules;
use inventiv_core::sweep::Policy;
use inventiv_core::worker::WorkerRules;
use inventiv_orchestrator::Config;
use inventiv_providers::transport::is_loopback;
use std::io::IsTerminal;
use std::sync::Arc;
use tracing_subscriber::EnvFilter;

/// Minimum grace against a real cloud, in seconds: longer than a creation takes and than a listing lags.
const GRACE_MIN_S: i64 = 120;
/// Minimum consistency window against a real cloud, in seconds.
const WINDOW_MIN_S: i64 = 10;

pub(crate) async fn run(args: Serve) -> Result<(), Failure> {
    start_log(args.log_format);
    if !is_control_plane(&args.control_plane) {
        return Err(Failure::refused("--control-plane: must be 1 to 16 characters of a-z and 0-9"));
    }
    if args.calls_per_second.is_some_and(|n| !(0.1..=1_000.0).contains(&n)) {
        return Err(Failure::refused("--calls-per-second: must be from 0.1 to 1000"));
    }
    let logged_in = accounts::log_in_to_all(&args.accounts, &|name| std::env::var(name).ok())?;
    for account in &logged_in {
        accounts::zones(account.cloud, &args.zones)?;
    }
    check_delays(&args, logged_in.iter().any(|a| !is_loopback(a.login.api_url())))?;
    let database = home::database(args.database)?;
    let orphan_policy = match args.orphan_policy {
        OrphanPolicy::Report => Policy::Report,
        OrphanPolicy::Delete => Policy::Delete,
    };
    let token_file = home::token_file(args.token_file.as_deref())?;
    let token = home::token(&token_file)?;
    let key_file = home::key_file(args.key_file.as_deref(), Some(&token_file))?;
    let keyring = Arc::new(home::keyring(&key_file)?);
    let (served, zones) = (described(&logged_in), zones_of(&logged_in, &args.zones)?);
    let (control_plane, database_kind) = (args.control_plane.clone(), home::described(&database));
    let lease = lease(args.lease_seconds)?;
    let worker =
        WorkerRules { startup_failure_ttl_ms: args.startup_failure_ttl_seconds * 1_000, ..WorkerRules::default() };
    let rules = Rules { create_grace_ms: args.create_grace_seconds * 1_000, worker, ..Rules::default() };
    let mut running = server::start(Setup {
        listen: args.listen,
        gateway_listen: args.gateway_listen,
        database,
        token,
        keyring,
        limits: Limits {
            connections: connections(args.max_connections),
            connections_per_address: args.max_connections_per_address,
            ..Limits::default()
        },
        allowed_hosts: args.allowed_hosts.iter().map(|h| without_port(h)).collect(),
        accounts: logged_in,
        zones: args.zones,
        config: Config {
            control_plane: args.control_plane,
            rules,
            orphan_policy,
            action_log_retention_ms: args.action_log_retention_days.map(|days| days.saturating_mul(86_400_000)),
            lease,
            ..Config::default()
        },
        consistency_window_ms: args.consistency_window_seconds.map(|s| s * 1_000),
        calls_per_second: args.calls_per_second,
        forced_data_volume_gb: args.worker_data_volume_gb,
        worker_binary: args.worker_binary,
    })
    .await?;
    let address = running.address;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "listening beyond this machine: anyone who reaches this port can try to guess the token; put a TLS proxy in front");
    }
    tracing::info!(%address, accounts = served, zones, control_plane, database = database_kind, token_file = %token_file.display(), key_file = %key_file.display(), "serving");
    running.until_asked_to_stop().await?;
    tracing::info!("stopping: finishing the calls in progress");
    running.shut_down().await
}

/// Refuses a grace or a consistency window that is shorter than what a real cloud takes.
fn check_delays(args: &Serve, is_real_cloud: bool) -> Result<(), Failure> {
    if args.create_grace_seconds < GRACE_MIN_S && is_real_cloud {
        let text = format!("--create-grace-seconds: at least {GRACE_MIN_S} against a real cloud: listings lag");
        return Err(Failure::refused(text));
    }
    if args.consistency_window_seconds.is_some_and(|s| s < WINDOW_MIN_S) && is_real_cloud {
        let text =
            format!("--consistency-window-seconds: at least {WINDOW_MIN_S} against a real cloud: reads may be stale");
        return Err(Failure::refused(text));
    }
    Ok(())
}

/// Which accounts, for the log: name, address and project of each.
fn described(accounts: &[LoggedIn]) -> String {
    let one = |a: &LoggedIn| format!("{} ({}, project {})", a.name, a.login.api_url(), a.login.project_id());
    accounts.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Every zone that is worked in, for the log.
fn zones_of(accounts: &[LoggedIn], named: &[String]) -> Result<String, Failure> {
    let mut all = Vec::new();
    for account in accounts {
        all.extend(accounts::zones(account.cloud, named)?);
    }
    all.sort();
    all.dedup();
    Ok(all.join(","))
}

/// The number of connections that the file descriptors allow, besides those for the work itself.
fn connections(wanted: usize) -> usize {
    /// For database, provider, log and other files.
    const OURS: usize = 256;
    let may_open =
        rlimit::increase_nofile_limit(u64::MAX).map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let room = may_open.saturating_sub(OURS).max(OURS);
    if room < wanted {
        tracing::warn!(
            wanted,
            room,
            "the limit of open files (LimitNOFILE, ulimit -n) leaves room for fewer connections"
        );
    }
    wanted.min(room)
}

/// `Host` headers are compared without the port.
fn without_port(host: &str) -> String {
    host.rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(h, _)| h)
        .to_ascii_lowercase()
}

/// Scales the default terms to the given lease duration.
fn lease(seconds: f64) -> Result<Terms, Failure> {
    if !(0.2..=300.0).contains(&seconds) {
        return Err(Failure::refused("--lease-seconds: must be from 0.2 to 300"));
    }
    let usual = Terms::default();
    #[expect(clippy::cast_possible_truncation, reason = "at most 300,000")]
    let lease_ms = (seconds * 1_000.0) as i64;
    let part = |ms: i64| (ms * lease_ms / usual.lease_ms).max(1);
    Ok(Terms { lease_ms, heartbeat_ms: part(usual.heartbeat_ms), yield_ms: part(usual.yield_ms) })
}

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_env("INVENTIV_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A test may already have installed one.
    let _ = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
}
