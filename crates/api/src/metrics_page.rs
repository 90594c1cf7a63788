//! `/metrics`: the process's counters in Prometheus's text form.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

/// The buckets of every histogram of seconds.
const SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// What each metric is, for `# HELP`.
const HELP: [(&str, &str); 13] = [
    ("inventiv_instances", "Instances whose life is not over, by status."),
    ("inventiv_provider_calls_total", "Calls of the provider's API, by action and outcome."),
    ("inventiv_provider_call_seconds", "How long calls of the provider's API took, by action."),
    ("inventiv_audit_findings", "What the last audits found, by kind."),
    ("inventiv_audit_age_seconds", "Age of the oldest zone's last audit; infinite while a zone has none."),
    ("inventiv_audit_blind_zones", "Zones whose last audit could not say what is there."),
    ("inventiv_event_streams", "Readers of /events at this server."),
    ("inventiv_unproven_deletions", "Servers and volumes that were to be deleted and are not proven gone yet."),
    ("inventiv_stuck_deletions", "Of those, the ones that take so long that a person should look."),
    ("inventiv_oldest_unconfirmed_creation_seconds", "Age of the oldest call whose outcome is not known."),
    ("inventiv_api_connections_refused_total", "Connections that were refused because too many were open."),
    ("inventiv_api_wrong_tokens_total", "Requests with a wrong token."),
    ("inventiv_build_info", "Always 1; the version is a label."),
];

/// Installs the process's recorder and gives the function that renders it. Later calls render nothing of their own.
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
