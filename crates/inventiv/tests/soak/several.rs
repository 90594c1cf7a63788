//! Several replicas on one PostgreSQL.

use crate::follow::Follower;
use crate::skew::Skew;
use crate::{END, Lines, OURS, Soak, environment, reported, seed};
use inventiv_core::lease::Lease;
use inventiv_core::time::Timestamp;
use inventiv_store::Store;
use inventiv_testkit::{Database, Line, Relay, Target};
use private_postgres::{Binaries, Postgres};
use serde_json::json;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const ACCOUNT: &str = "scaleway:11111111-1111-4111-8111-111111111111";
/// Default number of kills and of freezes (`INVENTIV_SOAK_KILLS`); a quarter as many of every other fault.
const ROUNDS: usize = 4;
/// Default number of replicas (`INVENTIV_SOAK_SERVERS`).
const SERVERS: usize = 3;
/// The skew of their clocks, in seconds.
const SKEWS: [i64; 3] = [300, -300, 0];
/// How long a replica is cut off from the cloud at most, if no other replica takes over before.
const CUT_MAX: Duration = Duration::from_secs(3);

/// A fault to inject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Disruption {
    /// `kill -9`; restarted once another replica has taken over.
    Kill,
    /// Stopped at any point until its lease has expired, then continued.
    Freeze,
    /// SIGTERM.
    Terminate,
    /// Its connections to the cloud are cut, and new ones are refused.
    CloudCut,
    /// Its requests to the cloud arrive only after another replica has taken over; it gets no response until then.
    CloudLate,
    /// The same for the database.
    DatabaseCut,
    DatabaseLate,
    /// The database that they share crashes.
    DatabaseCrash,
}

const OTHERS: [Disruption; 6] = [
    Disruption::Terminate,
    Disruption::CloudCut,
    Disruption::CloudLate,
    Disruption::DatabaseCut,
    Disruption::DatabaseLate,
    Disruption::DatabaseCrash,
];

fn deal(rng: &mut fastrand::Rng, rounds: usize) -> Vec<Disruption> {
    let mut dealt: Vec<Disruption> = [Disruption::Kill, Disruption::Freeze].repeat(rounds);
    dealt.extend(OTHERS.repeat(rounds.div_ceil(4)));
    rng.shuffle(&mut dealt);
    dealt
}

/// Several replicas, the database that they share, and the test's own connection to it.
struct Cluster {
    soak: Soak,
    postgres: Postgres,
    /// Opened on first use: opening upgrades the schema.
    store: OnceCell<Store>,
    runtime: Runtime,
    cloud: SocketAddr,
    skew: Option<Skew>,
    /// Holds the token.
    home: tempfile::TempDir,
}

impl Cluster {
    /// `None`: PostgreSQL is not installed.
    fn start(binary: &str, servers: usize, seed: u64) -> Option<Self> {
        if !Database::both().contains(&Database::Postgres) {
            return None;
        }
        let Some(binaries) = Binaries::find() else {
            println!("skipped: found no PostgreSQL binaries (PG_BIN names their folder)");
            return None;
        };
        let postgres = Postgres::start(&binaries, &["listen_addresses=", "fsync=off"]).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let home = tempfile::tempdir().unwrap();
        let skew = Skew::make(home.path());
        let (soak, cloud) = Soak::new(&runtime, home.path(), seed);
        let mut cluster = Self { soak, cloud, postgres, store: OnceCell::new(), runtime, skew, home };
        (0..servers).for_each(|n| cluster.add(Path::new(binary), n));
        cluster.soak.ask(&["instance", "list", "--all"]);
        Some(cluster)
    }

    fn store(&self) -> &Store {
        self.store.get_or_init(|| self.runtime.block_on(Store::open(&self.postgres.url())).unwrap())
    }

    /// Adds a replica; its number selects the skew of its clock.
    fn add(&mut self, binary: &Path, n: usize) {
        let lines = self.runtime.block_on(async {
            Lines {
                cloud: Relay::to(Target::Tcp(self.cloud)).await,
                database: Relay::to(Target::Unix(self.postgres.socket())).await,
            }
        });
        let url = format!("postgres://postgres@{}/postgres?sslmode=disable", lines.database.address());
        let mut env = environment(&format!("http://{}", lines.cloud.address()), &url, self.home.path());
        env.extend(self.skew.iter().flat_map(|s| s.environment(SKEWS[n % SKEWS.len()])));
        self.soak.add(binary, env, Some(lines));
    }

    /// The lease of the only zone, as recorded.
    fn lease(&self) -> Option<Lease> {
        // The database may be restarting.
        let leases = self.runtime.block_on(self.store().leases(ACCOUNT)).ok()?;
        leases.into_iter().next().filter(|l| !l.holder.is_empty())
    }

    /// The lease, once a replica holds it.
    fn held(&self) -> Lease {
        let began = Instant::now();
        loop {
            if let Some(lease) = self.lease() {
                return lease;
            }
            assert!(began.elapsed() < END, "no replica works on the zone");
            std::thread::yield_now();
        }
    }

    /// Waits until a replica works on the zone again, or for `at_most`. Returns the gap if the lease changed hands.
    fn until_it_goes_on(&self, before: &Lease, began: Instant, at_most: Option<Duration>) -> Option<Duration> {
        loop {
            if let Some(now) = self.lease() {
                if now.holder != before.holder {
                    return Some(began.elapsed());
                }
                // A replica that is cut off only from the cloud keeps its heartbeat for a while.
                if at_most.is_none() && now.heartbeat >= before.heartbeat + 5 {
                    return None;
                }
            }
            if at_most.is_some_and(|most| began.elapsed() > most) {
                return None;
            }
            assert!(began.elapsed() < END, "no replica works on the zone");
            std::thread::yield_now();
        }
    }

    fn disrupt(&mut self, disrupt: Disruption, at: usize) {
        let server = &mut self.soak.servers[at];
        server.away = disrupt != Disruption::DatabaseCrash;
        let lines = server.lines.as_ref().unwrap();
        match disrupt {
            Disruption::Kill => server.child.kill().unwrap(),
            Disruption::Freeze => server.signal("STOP"),
            Disruption::Terminate => server.signal("TERM"),
            Disruption::CloudCut => lines.cloud.set(Line::Closed),
            Disruption::CloudLate => lines.cloud.set(Line::Swallowing),
            Disruption::DatabaseCut => lines.database.set(Line::Closed),
            Disruption::DatabaseLate => lines.database.set(Line::Swallowing),
            Disruption::DatabaseCrash => {
                self.postgres.kill();
                self.postgres.resume().unwrap();
            }
        }
    }

    fn mend(&mut self, disrupt: Disruption, at: usize) {
        let server = &mut self.soak.servers[at];
        server.away = false;
        let lines = server.lines.as_ref().unwrap();
        match disrupt {
            Disruption::Freeze => server.signal("CONT"),
            Disruption::Kill | Disruption::Terminate => server.restart(),
            Disruption::CloudCut | Disruption::CloudLate => lines.cloud.set(Line::Open),
            Disruption::DatabaseCut | Disruption::DatabaseLate => lines.database.set(Line::Open),
            Disruption::DatabaseCrash => {}
        }
    }

    /// Times in the action log are in the order of events, whatever the replicas' own clocks say.
    fn times_are_the_databases(&self) {
        let now = self.runtime.block_on(self.store().now()).unwrap().unwrap();
        let (mut after, mut seen, mut earlier) = (None::<String>, 0, Timestamp(0));
        loop {
            let page = self.runtime.block_on(self.store().action_logs(None, after.as_deref(), 1_000)).unwrap();
            for log in &page {
                // Ordered by id; replicas may differ by a second in their view of the database's time.
                assert!(earlier.ms_since(log.started_at) < 1_000, "{log:?} after {earlier:?}");
                assert!(now.ms_since(log.started_at) >= 0, "{log:?}, and now it is {now:?}");
                earlier = log.started_at;
            }
            seen += page.len();
            let Some(last) = page.last() else { break };
            after = Some(last.id.to_string());
        }
        assert!(seen > 0);
    }
}

#[test]
fn several_on_one_database_that_are_struck_in_every_way_leave_exactly_what_is_kept() {
    let (rounds, servers, seed) = (
        reported("INVENTIV_SOAK_KILLS").unwrap_or(ROUNDS),
        reported("INVENTIV_SOAK_SERVERS").unwrap_or(SERVERS).clamp(2, 9),
        seed(),
    );
    let Some(mut cluster) = Cluster::start(OURS, servers, seed) else { return };
    let envs: Vec<&[(String, String)]> = cluster.soak.servers.iter().map(|s| s.env.as_slice()).collect();
    let follower = Follower::start(&cluster.runtime, &envs);
    let dealt = deal(&mut cluster.soak.rng, rounds);
    println!("{servers} replicas: {rounds} kills, as many freezes, {} rounds, seed {seed}", dealt.len());
    let mut took: BTreeMap<Disruption, (usize, Vec<u128>)> = BTreeMap::new();
    for (n, disrupt) in dealt.iter().copied().enumerate() {
        let injected = cluster.soak.rng.usize(..servers);
        cluster.soak.something_happens();
        let before = cluster.held();
        let began = Instant::now();
        cluster.disrupt(disrupt, injected);
        // Users continue meanwhile.
        let busy = cluster.soak.rng.bool();
        if busy {
            cluster.soak.something_happens();
        }
        let at_most = matches!(disrupt, Disruption::CloudCut | Disruption::CloudLate).then_some(CUT_MAX);
        let gap = cluster.until_it_goes_on(&before, began, at_most).filter(|_| !busy);
        let (count, gaps) = took.entry(disrupt).or_default();
        *count += 1;
        gaps.extend(gap.map(|g| g.as_millis()));
        cluster.mend(disrupt, injected);
        if (n + 1) % 100 == 0 {
            println!("{servers} replicas: {} rounds", n + 1);
        }
    }
    cluster.soak.end();
    follower.has_seen_the_end_of(&cluster.soak.instances());
    cluster.times_are_the_databases();
    for (disrupt, (count, mut ms)) in took {
        ms.sort_unstable();
        let (n, middle, longest) = (ms.len(), ms.get(ms.len() / 2), ms.last());
        println!(
            "{disrupt:?}: {count} times; the zone changed hands {n} times, after {middle:?} ms (median), {longest:?} ms (longest)"
        );
    }
    println!("{servers} replicas: {} instances, only retained volumes left", cluster.soak.asked);
}

#[test]
fn a_create_that_arrives_long_after_another_server_took_over_leaves_nothing() {
    let Some(mut cluster) = Cluster::start(OURS, 1, seed()) else { return };
    cluster.soak.wait(|soak| soak.emulator.journal()["requests"].as_u64() > Some(3));
    let before = cluster.held();
    // Another replica, without a lease yet.
    cluster.add(Path::new(OURS), 1);
    let line = &cluster.soak.servers[0].lines.as_ref().unwrap().cloud;
    line.hold("POST /instance/v1/zones/fr-par-2/servers HTTP/1.1");
    cluster.soak.create();
    let id = cluster.soak.living[0].clone();
    let line = &cluster.soak.servers[0].lines.as_ref().unwrap().cloud;
    cluster.runtime.block_on(line.until_held());
    // The request is in transit; its sender is frozen.
    cluster.soak.servers[0].signal("STOP");
    cluster.soak.servers[0].away = true;
    cluster.soak.wait(|soak| soak.ask(&["instance", "show", &id])["status"] == "ready");
    assert_ne!(cluster.held().holder, before.holder);
    let made = |soak: &Soak| soak.emulator.state()["servers"].as_array().unwrap().len();
    assert_eq!(made(&cluster.soak), 1);
    let line = &cluster.soak.servers[0].lines.as_ref().unwrap().cloud;
    line.release();
    cluster.soak.servers[0].signal("CONT");
    cluster.soak.servers[0].away = false;
    // The late server appears, and is deleted.
    cluster.soak.wait(|soak| made(soak) == 2);
    cluster.soak.wait(|soak| made(soak) == 1);
    let shown = cluster.soak.ask(&["instance", "show", &id]);
    assert_eq!(shown["status"], json!("ready"), "{shown:#}");
    let remaining = cluster.soak.emulator.state()["servers"][0]["id"].clone();
    assert_eq!(remaining, shown["provider_instance_id"], "the late server is deleted, not the one in use");
    cluster.soak.end();
}

/// `INVENTIV_OLD_BIN` names the previous executable; `cargo xtask upgrade --from COMMIT` builds it.
#[test]
fn one_server_after_the_other_is_replaced_by_a_newer_one_while_lives_go_on() {
    let Ok(old) = std::env::var("INVENTIV_OLD_BIN") else {
        println!("skipped: INVENTIV_OLD_BIN is not set; `cargo xtask upgrade` sets it");
        return;
    };
    let Some(mut cluster) = Cluster::start(&old, SERVERS, seed()) else { return };
    let happens = |cluster: &mut Cluster, times: usize| (0..times).for_each(|_| cluster.soak.something_happens());
    happens(&mut cluster, 8);
    for n in 0..SERVERS {
        // The test must not open the database before a replica did.
        let before = (n > 0).then(|| cluster.held());
        cluster.soak.servers[n].signal("TERM");
        cluster.soak.servers[n].away = true;
        happens(&mut cluster, 1);
        let server = &mut cluster.soak.servers[n];
        server.binary = OURS.into();
        server.restart();
        // The new replica answers beside the old ones.
        let others: Vec<bool> = cluster.soak.servers.iter().map(|s| s.away).collect();
        // The old replicas continue unaffected, on each of their connections.
        for older in n + 1..SERVERS {
            cluster.soak.servers.iter_mut().enumerate().for_each(|(at, s)| s.away = at != older);
            for _ in 0..24 {
                let out = cluster.soak.run(&["instance", "list", "--all"]);
                assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            }
        }
        cluster.soak.servers.iter_mut().enumerate().for_each(|(at, s)| s.away = at != n);
        cluster.soak.ask(&["instance", "list", "--all"]);
        cluster.soak.servers.iter_mut().zip(others).for_each(|(s, away)| s.away = away);
        cluster.soak.servers[n].away = false;
        if let Some(before) = before {
            cluster.until_it_goes_on(&before, Instant::now(), None);
        }
        happens(&mut cluster, 6);
        println!("{} of {SERVERS} replicas are new", n + 1);
    }
    cluster.soak.end();
    println!("{} instances, only retained volumes left", cluster.soak.asked);
}
