//! Sums by day (UTC).
//!
//! A row that lasts for weeks is not cut into a piece for each day: its first and its last day are pieces of their own, and
//! every day in between costs the same. The amounts are those of the pieces.

use super::{not_whole, priced};

/// What a piece costs, in millionths, rounded half up, and how long it is.
fn amount(from: &str, to: &str) -> (String, String) {
    let seconds = format!("(({to}) - ({from})) / 1000000");
    (format!("(hourly_nanos * quantity * ({seconds}) + 1800000) / 3600000"), seconds)
}

/// The sums of a period that begins at midnight. Of settled rows, only those that lie in one day are read from
/// `settled_costs`.
pub(super) fn sums() -> String {
    let priced = priced(&format!("({})", not_whole("", "OR start_day <> end_day")));
    let (first, first_s) = amount("from_us", "CASE WHEN last > first THEN first + 86400000000 ELSE to_us END");
    let (last, last_s) = amount("last", "to_us");
    let (whole, whole_s) = amount("0", "86400000000");
    format!(
        "WITH RECURSIVE {priced}, \
        spans AS (SELECT class, currency, hourly_nanos, quantity, from_us, to_us, from_us - from_us % 86400000000 AS first, \
        (to_us - 1) - (to_us - 1) % 86400000000 AS last FROM priced), \
        days (day) AS (SELECT CAST($1 AS BIGINT) UNION ALL \
        SELECT day + 86400000000 FROM days WHERE day + 86400000000 < CAST($2 AS BIGINT)), \
        between_them AS (SELECT first, last, class, currency, SUM({whole}) AS micros, SUM({whole_s}) AS seconds \
        FROM spans WHERE last > first + 86400000000 GROUP BY first, last, class, currency), \
        parts AS (SELECT first AS day, class, currency, {first} AS micros, {first_s} AS seconds FROM spans \
        UNION ALL SELECT last, class, currency, {last}, {last_s} FROM spans WHERE last > first \
        UNION ALL SELECT day, class, currency, micros, seconds FROM between_them JOIN days ON day > first AND day < last \
        UNION ALL SELECT start_day, class, currency, micros, seconds FROM settled_costs \
        WHERE start_day >= CAST($6 AS BIGINT) AND end_day < CAST($7 AS BIGINT) AND start_day = end_day \
        AND ($3 = '' OR account_id = $3) AND ($5 = '' OR service_id = $5)) \
        SELECT CAST(day AS TEXT) AS label, class, currency, CAST(SUM(micros) AS BIGINT) AS micros, \
        CAST(SUM(seconds) AS BIGINT) AS seconds FROM parts GROUP BY day, class, currency ORDER BY day, class, currency"
    )
}
