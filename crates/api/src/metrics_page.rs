//! `/metrics`: the process's counters in Prometheus's text form.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

/// The buckets of every histogram of seconds.
const SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// Installs the process's recorder and gives the function that renders it. Later calls render nothing of their own.
#[must_use]
pub fn install_metrics() -> Box<dyn Fn() -> String + Send + Sync> {
    let buckets = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS);
    match buckets.and_then(PrometheusBuilder::install_recorder) {
        Ok(handle) => Box::new(move || handle.render()),
        Err(_) => Box::new(String::new),
    }
}
