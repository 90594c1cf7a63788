//! How the parts are put together for tests.

use crate::{Faulty, PROJECT, SECRET, TOKEN};
use inventiv_api::{Account, App, Settings};
use inventiv_core::cloud::CloudProfile;
use inventiv_core::plan::Rules;
use inventiv_keyring::Keyring;
use inventiv_orchestrator::clock::ManualClock;
use inventiv_orchestrator::{Clock, Config, Ids, Orchestrator};
use inventiv_providers::clouds::scaleway::{self, Scaleway};
use inventiv_providers::transport::Transport;
use inventiv_store::Store;
use std::sync::{Arc, LazyLock};

pub(crate) fn app(store: Store, clock: Arc<ManualClock>, ids: Arc<dyn Ids>, forced: Option<i64>) -> App {
    App::new(settings(store, clock, ids, forced))
}

pub(crate) fn settings(store: Store, clock: Arc<ManualClock>, ids: Arc<dyn Ids>, forced: Option<i64>) -> Settings {
    Settings {
        store,
        policy_wait: std::time::Duration::ZERO,
        accounts: vec![account()],
        limits: inventiv_api::Limits::default(),
        hosts: None,
        token: TOKEN.to_owned(),
        keyring: keyring(),
        workers: None,
        forced_data_volume_gb: forced,
        now: Box::new(move || clock.now()),
        ids: Box::new(move || ids.draw()),
        metrics: Box::new(String::new),
    }
}

/// The keys that seal the secrets of every world of this process: also of one that goes on after a crash.
pub(crate) fn keyring() -> Arc<Keyring> {
    static KEYRING: LazyLock<Arc<Keyring>> =
        LazyLock::new(|| Arc::new(Keyring::generate().expect("the system gives random bits")));
    KEYRING.clone()
}

/// The account of all test resources, as the API shows it.
#[must_use]
pub fn account() -> Account {
    let profile = CloudProfile { zones: Vec::new(), ..scaleway::profile() };
    Account {
        id: format!("scaleway:{PROJECT}"),
        name: "scaleway".to_owned(),
        profile,
        images: None,
        check: None,
        bill: None,
    }
}

pub(crate) fn orchestrator(
    store: Store,
    wire: Arc<Faulty>,
    clock: Arc<ManualClock>,
    rules: Rules,
    ids: Arc<dyn Ids>,
) -> Orchestrator {
    configured(store, wire, clock, ids, config(rules))
}

pub(crate) fn config(rules: Rules) -> Config {
    let zones = ["fr-par-1", "fr-par-2", "pl-waw-2"].map(str::to_owned).to_vec();
    Config { control_plane: "test".to_owned(), rules, zones, ..Config::default() }
}

pub(crate) fn configured(
    store: Store,
    wire: Arc<Faulty>,
    clock: Arc<ManualClock>,
    ids: Arc<dyn Ids>,
    config: Config,
) -> Orchestrator {
    let env = |name: &str| match name {
        "SCW_SECRET_KEY" => Some(SECRET.to_owned()),
        "SCW_DEFAULT_PROJECT_ID" => Some(PROJECT.to_owned()),
        "SCW_API_URL" => Some("http://emulator".to_owned()),
        _ => None,
    };
    let credentials = scaleway::credentials::read(&env, None).expect("these credentials are well-formed");
    let provider_clock = clock.clone();
    let transport: Arc<dyn Transport> = wire;
    let provider = Scaleway::new(&credentials, transport, 1e6, Arc::new(move || provider_clock.now()));
    Orchestrator::new(store, Arc::new(provider), clock, ids, config)
}
