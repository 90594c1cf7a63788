//! `inventiv doctor`: checks the provider contract on an emulated cloud or, with `--live`, on your account.

use crate::accounts;
use crate::args::{Doctor, Output};
use crate::failure::Failure;
use crate::output::{self, print};
use crate::server::Asks;
use inventiv_core::offer::Offer;
use inventiv_core::storage_prices::StoragePrices;
use inventiv_orchestrator::Clock;
use inventiv_orchestrator::clock::SystemClock;
use inventiv_providers::CloudProvider;
use inventiv_providers::contract::{self, Line, NOTHING_LEFT, PREFIX, Suite};
use inventiv_providers::recording::Recording;
use inventiv_providers::transport::{Real, Transport};
use scaleway_emulator::Emulator;
use scaleway_emulator::options::{ClockMode, Options};
use serde_json::json;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The image of the server.
const IMAGE: &str = "ubuntu_noble";
/// The volumes of a run, in GB: boot and data.
const GB_HELD: i64 = 12;
/// Maximum price per hour of a dynamic public IPv4 address, in micro-euros: 0.004 € in Scaleway's price list.
const ADDRESS_HOUR_MICROS: i64 = 5_000;
/// Maximum hours that a run is billed for: `LIMIT` and `PATIENCE` end it before.
const HOURS: i64 = 1;
/// How long a run on a real account may take before it cleans up.
const LIMIT: Duration = Duration::from_secs(40 * 60);
/// Time-out of each wait, and of the clean-up.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How long an unconfirmed creation may still take effect on a real account: listings lag.
const LATE: Duration = Duration::from_secs(60);

pub(crate) async fn run(args: Doctor, output: Output) -> Result<(), Failure> {
    let emulator = Emulator::new(Options { clock: ClockMode::Scaled(50), ..Options::default() });
    let cloud = if args.live { None } else { Some(crate::commands::demo::serve_emulator(&emulator).await?) };
    let env = |name: &str| match (cloud, name) {
        (None, _) => std::env::var(name).ok(),
        (Some(_), "SCW_SECRET_KEY") => Some("22222222-2222-4222-8222-222222222222".to_owned()),
        (Some(_), "SCW_DEFAULT_PROJECT_ID") => Some("11111111-1111-4111-8111-111111111111".to_owned()),
        (Some(address), "SCW_API_URL") => Some(format!("http://{address}")),
        (Some(_), _) => None,
    };
    let account = accounts::log_in(&args.account, &env)?;
    let login = &account.login;
    let real = Real::new(login.api_url(), login.insecure()).map_err(|e| Failure::general(e.to_string()))?;
    let real: Arc<dyn Transport> = Arc::new(real);
    let recording = match &args.record {
        None => None,
        Some(path) => Some(Arc::new(
            Recording::new(real.clone(), path, contract::is_own, login.secrets())
                .map_err(|e| Failure::refused(format!("--record {}: {e}", path.display())))?,
        )),
    };
    let wire: Arc<dyn Transport> = recording.clone().map_or(real, |r| r);
    let provider = login.connect(wire, 10.0, Arc::new(|| SystemClock.now()));
    let offers = provider.offers(&args.zone).await.map_err(|e| Failure::unreachable(e.to_string()))?;
    let offer = contract::cheapest(&offers).ok_or_else(|| {
        Failure::refused(format!("no small server type is available in {} now: try another --zone", args.zone))
    })?;
    let most = most_micros(offer, &storage_prices(provider.as_ref(), &args.zone).await);
    announce(&args, offer, most, login.api_url(), output);
    if most > args.max_eur_micros() {
        let text = format!("it may cost {}, more than --max-eur {}: nothing was created", euros(most), args.max_eur);
        return Err(Failure::refused(text));
    }
    if args.live && !args.yes && !agreed()? {
        return Err(Failure::refused("not confirmed: nothing was created"));
    }
    let (every, patience, late) = if args.live {
        (Duration::from_secs(3), PATIENCE, LATE)
    } else {
        (Duration::from_millis(30), Duration::from_secs(30), Duration::from_secs(1))
    };
    let say = move |line: &Line| {
        if !output.is_for_programs() {
            print(&shown(line))
        }
    };
    let stop = AtomicBool::new(false);
    let suite = Suite {
        cloud: provider.as_ref(),
        zone: args.zone.clone(),
        instance_type: offer.instance_type.clone(),
        image: IMAGE.to_owned(),
        every,
        patience,
        limit: LIMIT,
        late,
        run: this_run(),
        stop: &|| stop.load(Ordering::Relaxed),
        say: &say,
    };
    let lines = until_done_or_left(&suite, &stop).await;
    let recorded = recording.map_or(Ok(()), |r| r.finish());
    let recorded = recorded.map_err(|e| Failure::general(format!("the recording is incomplete: {e}")));
    let lines = lines?;
    assess(&lines, &args, output, stop.load(Ordering::Relaxed)).and(recorded)
}

/// The prices of a zone; without an answer of the provider, those of the list in the program.
async fn storage_prices(provider: &dyn CloudProvider, zone: &str) -> StoragePrices {
    let list = &provider.profile().storage_prices;
    provider.storage_prices(zone, list).await.unwrap_or_else(|e| {
        eprintln!("the prices of storage could not be read ({e}): those of {} count", list.sources());
        list.clone()
    })
}

/// The exit code and the final message.
fn assess(lines: &[Line], args: &Doctor, output: Output, stopped: bool) -> Result<(), Failure> {
    let left = lines.iter().find_map(|l| if let Line::Broken(NOTHING_LEFT, why) = l { Some(why) } else { None });
    match left {
        Some(why) => {
            // A resource that is left behind is worse than a broken promise.
            let _ = summarize(lines, args.live, output);
            Err(Failure::left_behind(format!("{why}; run `inventiv doctor` again to clean up")))
        }
        None if stopped => Err(Failure::general("stopped before the end; nothing of it is left")),
        None => summarize(lines, args.live, output),
    }
}

/// Ctrl-C finishes the call in progress and deletes what was created; a second one exits at once.
async fn until_done_or_left(suite: &Suite<'_>, stop: &AtomicBool) -> Result<Vec<Line>, Failure> {
    let mut asks = Asks::listen()?;
    let run = suite.run();
    tokio::pin!(run);
    tokio::select! {
        lines = &mut run => return Ok(lines),
        () = asks.next() => stop.store(true, Ordering::Relaxed),
    }
    eprintln!("stopping: deleting what was created (a second Ctrl-C leaves that to the next run)");
    tokio::select! {
        lines = &mut run => Ok(lines),
        () = asks.next() => {
            Err(Failure::left_behind(format!("resources named {PREFIX}-… may be left: run `inventiv doctor` again")))
        }
    }
}

/// The start time and the process id: a name that is unique to this run.
fn this_run() -> String {
    let seconds = SystemClock.now().0 / 1_000_000;
    format!("{:08x}{:04x}", seconds & 0xffff_ffff, std::process::id() & 0xffff)
}

fn most_micros(offer: &Offer, prices: &StoragePrices) -> i64 {
    HOURS * (offer.price.micros + prices.block_hourly_micros(GB_HELD, Some(15_000)) + ADDRESS_HOUR_MICROS)
}

#[expect(clippy::cast_precision_loss, reason = "prices for people")]
fn euros(micros: i64) -> String {
    format!("{:.4} €", micros as f64 / 1e6)
}

fn announce(args: &Doctor, offer: &Offer, most: i64, url: &str, output: Output) {
    let whose = if args.live { "your account" } else { "an emulated cloud in this process" };
    let text = format!(
        "On {whose} ({url}), zone {}, this creates and then deletes, all named {PREFIX}-…:\n  \
         1 server {} ({} per hour), its boot volume (10 GB), 1 block volume (2 GB), 1 dynamic address\n\
         It costs at most {}, {HOURS} hour of all of it: by then it has stopped and reported what is left. It usually\n\
         takes three minutes. It first deletes what an earlier run left under such a name: run only one at a time.",
        args.zone,
        offer.instance_type,
        euros(offer.price.micros),
        euros(most)
    );
    if output.is_for_programs() { eprintln!("{text}") } else { print(&text) }
}

fn agreed() -> Result<bool, Failure> {
    eprint!("Continue? Type yes: ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.map_err(|e| Failure::general(format!("cannot read the answer: {e}; use --yes")))?;
    Ok(answer.trim() == "yes")
}

fn shown(line: &Line) -> String {
    match line {
        Line::Kept(what, seen) => format!("  ok       {what}: {seen}"),
        Line::Broken(what, why) => format!("  BROKEN   {what}: {why}"),
        Line::Settled(what, seen) => format!("  settled  {what}: {seen}"),
        Line::Removed(what) => format!("  removed  {what}"),
        Line::Spared(what) => format!("  SPARED   {what}"),
    }
}

fn summarize(lines: &[Line], live: bool, output: Output) -> Result<(), Failure> {
    let of = |pick: fn(&Line) -> Option<(&str, &str)>| lines.iter().filter_map(pick).collect::<Vec<_>>();
    let kept = of(|l| if let Line::Kept(a, b) = l { Some((a, b)) } else { None });
    let broken = of(|l| if let Line::Broken(a, b) = l { Some((a, b)) } else { None });
    let settled = of(|l| if let Line::Settled(a, b) = l { Some((a, b)) } else { None });
    let spared: Vec<&str> =
        lines.iter().filter_map(|l| if let Line::Spared(a) = l { Some(a.as_str()) } else { None }).collect();
    if output.is_for_programs() {
        let pairs = |of: &[(&str, &str)]| of.iter().map(|(a, b)| json!({"what": a, "seen": b})).collect::<Vec<_>>();
        output::value(
            output,
            &json!({"live": live, "kept": pairs(&kept), "broken": pairs(&broken), "settled": pairs(&settled), "spared": spared}),
        );
    } else {
        print(&format!(
            "\n{} promises kept, {} broken, {} open points observed.",
            kept.len(),
            broken.len(),
            settled.len()
        ));
        if !live {
            print("On the emulated cloud, open points only show the emulator's options: `--live` settles them.");
        }
    }
    match broken.first() {
        None => Ok(()),
        Some((what, why)) => Err(Failure::general(format!("{what}: {why}"))),
    }
}
