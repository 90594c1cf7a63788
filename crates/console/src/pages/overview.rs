//! What runs, what it costs, and what needs a person.

use crate::backend::Refusal;
use crate::page::{Answer, Frame, Section, Viewer, go_to, page};
use crate::show::{self, Tone};
use askama::Template;
use axum::response::Response;
use inventiv_types::{
    Alert, Audit, Availability, CostForecast, InstanceCounts, LimitsInUse, OfAccount, Offer, Service, Severity, Status,
    Verdict,
};
use std::collections::BTreeMap;

/// How many alerts are shown.
const ALERTS_SHOWN: usize = 20;
/// The hours of an average month.
const MONTH_HOURS: i64 = 730;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    counts: Vec<(Status, i64)>,
    running: i64,
    services: Vec<Service>,
    costs: CostForecast,
    limits: LimitsInUse,
    alerts: Vec<Alert>,
    more_alerts: usize,
    /// Whether nothing at all costs money, as far as is known.
    costs_nothing: bool,
    verdict: Verdict,
    zones: Vec<String>,
    stock: Vec<Stock>,
}

impl Overview {
    fn monthly(micros: &i64) -> i64 {
        micros.saturating_mul(MONTH_HOURS)
    }

    fn is_urgent(alert: &Alert) -> bool {
        alert.severity == Severity::Critical
    }
}

/// The first page.
pub(crate) async fn show(viewer: Viewer) -> Answer {
    let api = &viewer.api;
    let counts: InstanceCounts = api.get("/instance_counts", &()).await?;
    let counts: Vec<(Status, i64)> =
        counts.living.iter().filter_map(|(word, n)| Some((Status::parse(word)?, *n))).collect();
    let mut alerts: Vec<Alert> = api.all("/alerts", &()).await?;
    let more_alerts = alerts.len().saturating_sub(ALERTS_SHOWN);
    alerts.truncate(ALERTS_SHOWN);
    let offers: Vec<Offer> = viewer.offers().await?.into_iter().map(|(_, offer)| offer).collect();
    let (zones, stock) = stock(&offers);
    let costs: CostForecast = api.get("/costs/forecast", &()).await?;
    page(&Overview {
        frame: viewer.frame(Section::Overview, crate::texts::EN.overview),
        running: counts.iter().map(|(_, n)| n).sum(),
        counts,
        services: api.all("/services", &()).await?,
        costs_nothing: costs_nothing(&costs),
        costs,
        limits: api.get("/limits", &()).await?,
        alerts,
        more_alerts,
        verdict: verdict(&viewer).await?,
        zones,
        stock,
    })
}

/// The worst verdict of the audits of all accounts. An account without an audit is inconclusive.
async fn verdict(viewer: &Viewer) -> Result<Verdict, Refusal> {
    let mut worst = Verdict::Clean;
    for account in viewer.accounts().await? {
        let audit: Result<Audit, Refusal> = viewer.api.get("/audit", &OfAccount { account: Some(account.id) }).await;
        worst = match (audit.map_or(Verdict::Inconclusive, |a| a.verdict), worst) {
            (Verdict::Findings, _) | (_, Verdict::Findings) => Verdict::Findings,
            (Verdict::Inconclusive, _) | (_, Verdict::Inconclusive) => Verdict::Inconclusive,
            (Verdict::Clean, Verdict::Clean) => Verdict::Clean,
        };
    }
    Ok(worst)
}

fn costs_nothing(costs: &CostForecast) -> bool {
    let is_free = costs.currencies.iter().all(|c| c.rates.iter().all(|r| r.hourly_micros == 0));
    is_free && costs.unpriced.is_empty() && costs.orphans.resources == 0
}

/// `/console` leads to the first page.
pub(crate) async fn home() -> Response {
    go_to("/")
}

/// A server type, and its availability in each zone.
struct Stock {
    instance_type: String,
    gpus: String,
    hourly_micros: i64,
    currency: String,
    zones: Vec<Option<Availability>>,
}

/// The types with a GPU, the cheapest first, in the zones that have any.
fn stock(offers: &[Offer]) -> (Vec<String>, Vec<Stock>) {
    let mut zones: Vec<String> = offers.iter().map(|o| o.zone.clone()).collect();
    zones.sort_unstable();
    zones.dedup();
    let mut types: BTreeMap<(i64, &str), Stock> = BTreeMap::new();
    for o in offers {
        let row = types.entry((o.hourly_micros, &o.instance_type)).or_insert_with(|| Stock {
            instance_type: o.instance_type.clone(),
            gpus: format!("{} × {}", o.gpu_count, show::or_dash(o.gpu_name.as_ref())),
            hourly_micros: o.hourly_micros,
            currency: o.currency.clone(),
            zones: vec![None; zones.len()],
        });
        if let Some(cell) = zones.iter().position(|z| *z == o.zone).and_then(|n| row.zones.get_mut(n)) {
            *cell = Some(o.availability);
        }
    }
    (zones, types.into_values().collect())
}

/// Whether a type is in stock, as a sign and a word.
pub(crate) fn availability(availability: &Availability) -> show::Markup {
    match availability {
        Availability::Available => show::badge("available", Tone::Good),
        Availability::Scarce => show::badge("scarce", Tone::Busy),
        Availability::Shortage => show::badge("shortage", Tone::Bad),
        Availability::Unknown => show::badge("unknown", Tone::Idle),
    }
}
