//! `/metrics`: the metrics of the process in the Prometheus text format.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

/// The bucket boundaries of every histogram of seconds.
const SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// The `# HELP` text of each metric.
const HELP: [(&str, &str); 18] = [
    ("inventiv_instances", "Instances that have not ended, by status."),
    ("inventiv_provider_calls_total", "Calls to the provider's API, by action and outcome."),
    ("inventiv_provider_call_seconds", "Duration of calls to the provider's API in seconds, by action."),
    ("inventiv_audit_findings", "Findings of the last audits, by kind."),
    (
        "inventiv_audit_age_seconds",
        "Age of the oldest of the zones' last audits; infinite while a zone has no conclusive one.",
    ),
    ("inventiv_audit_blind_zones", "Zones whose last audit is missing or inconclusive."),
    ("inventiv_event_streams", "Open change streams (GET /events) of this replica."),
    ("inventiv_unproven_deletions", "Servers and volumes whose deletion was requested and is not proven yet."),
    ("inventiv_stuck_deletions", "Unproven deletions that were requested more than 15 minutes ago."),
    ("inventiv_oldest_unconfirmed_creation_seconds", "Age of the oldest creation whose outcome is unknown."),
    ("inventiv_api_connections_refused_total", "Connections that were refused because too many were open."),
    ("inventiv_api_wrong_tokens_total", "Requests with a wrong token."),
    (
        "inventiv_background_task_failures_total",
        "Failed runs of background tasks, by task: catalogue, audit, retention.",
    ),
    (
        "inventiv_cost_per_hour",
        "What is spent now per hour at list prices, in units of the currency, by class and currency.",
    ),
    ("inventiv_alerts", "Open alerts, by kind."),
    (
        "inventiv_webhook_attempts_total",
        "Attempts to send a message to a webhook, by result: accepted, refused, given_up.",
    ),
    ("inventiv_notifier_database_failures_total", "Failed runs of the notifier."),
    ("inventiv_build_info", "Always 1; the version is a label."),
];

/// Installs the metrics recorder of the process and returns the function that renders it. If a recorder is installed
/// already, the function renders an empty text.
#[must_use]
pub fn install_metrics() -> Box<dyn Fn() -> String + Send + Sync> {
    let buckets = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS);
    let rendered: Box<dyn Fn() -> String + Send + Sync> = match buckets.and_then(PrometheusBuilder::install_recorder) {
        Ok(handle) => Box::new(move || handle.render()),
        Err(_) => Box::new(String::new),
    };
    for (name, help) in HELP {
        if name.ends_with("_total") {
            metrics::describe_counter!(name, help);
        } else if name.ends_with("_call_seconds") {
            metrics::describe_histogram!(name, help);
        } else {
            metrics::describe_gauge!(name, help);
        }
    }
    metrics::gauge!("inventiv_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    rendered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_says_what_it_is() {
        let render = install_metrics();
        for (name, _) in HELP {
            match name {
                n if n.ends_with("_total") => metrics::counter!(name).increment(1),
                n if n.ends_with("_call_seconds") => metrics::histogram!(name).record(0.1),
                _ => metrics::gauge!(name).set(1.0),
            }
        }
        let text = render();
        for (name, help) in HELP {
            assert!(text.contains(&format!("# HELP {name} {help}\n")), "{name}:\n{text}");
        }
        assert!(
            text.contains(&format!("inventiv_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))),
            "{text}"
        );
    }
}
