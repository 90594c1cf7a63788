//! Sums by day (UTC).
//!
//! A row that lasts for weeks is not cut into a piece for each day: its first and its last day are pieces of their own, and
//! every day in between costs the same. The amounts are those of the pieces. They are first added up over all that begin on the
//! same day and end on the same day.

use super::{counting, priced};

/// What a piece costs, in millionths, rounded half up, and how long it is.
fn amount(from: &str, to: &str) -> (String, String) {
    let seconds = format!("(({to}) - ({from})) / 1000000");
    (format!("(hourly_nanos * quantity * ({seconds}) + 1800000) / 3600000"), seconds)
}

/// The rows that are not in `settled_days`, and of those that are in it, the part after the last midnight of the period, `$7`.
/// The days in which the latter begin and end are read from `settled_costs`.
fn not_in_days() -> [String; 3] {
    let columns = counting("c.starts_at", "");
    let rest = counting(
        "CASE WHEN c.starts_at < CAST($7 AS BIGINT) THEN CAST($7 AS BIGINT) ELSE c.starts_at END AS starts_at",
        "",
    );
    [
        format!("(SELECT {columns} FROM charges c WHERE settled <= 0)"),
        format!("(SELECT {columns} FROM charges c WHERE settled = 1 AND c.ends_at > CAST($1 AS BIGINT))"),
        format!(
            "(SELECT {rest} FROM (SELECT DISTINCT start_day / 86400000000 AS first, end_day / 86400000000 AS last \
            FROM settled_costs WHERE end_day + 86400000000 > CAST($1 AS BIGINT) AND start_day < CAST($2 AS BIGINT) \
            AND end_day >= CAST($7 AS BIGINT)) AS d CROSS JOIN charges c WHERE c.settled > 0 AND c.settled <> 1 \
            AND c.starts_at / 86400000000 = d.first AND c.ends_at / 86400000000 = d.last)"
        ),
    ]
}

/// The sums of a period that begins at midnight. Whole days of settled rows are read from `settled_days`, unless the
/// sums are those of one instance: `$6` is after the period then, and `$7` before it.
pub(super) fn sums() -> String {
    let priced = priced(&not_in_days());
    let (first, first_s) = amount("from_us", "CASE WHEN last > first THEN first + 86400000000 ELSE to_us END");
    let (last, last_s) = amount("last", "to_us");
    let (whole, _) = amount("0", "86400000000");
    let sum = |what: &str| format!("CAST(SUM({what}) AS BIGINT)");
    let (first, first_s, whole) = (sum(&first), sum(&first_s), sum(&whole));
    let (last, last_s) = (sum(&last), sum(&last_s));
    format!(
        "WITH RECURSIVE {priced}, \
        days (day) AS (SELECT CAST($1 AS BIGINT) UNION ALL \
        SELECT day + 86400000000 FROM days WHERE day + 86400000000 < CAST($2 AS BIGINT)), \
        spans AS (SELECT first, last, class, currency, {first} AS first_micros, {first_s} AS first_s, \
        {last} AS last_micros, {last_s} AS last_s, {whole} AS day_micros, COUNT(*) * 86400 AS day_s \
        FROM (SELECT p.*, from_us - from_us % 86400000000 AS first, (to_us - 1) - (to_us - 1) % 86400000000 AS last \
        FROM priced p) AS p GROUP BY first, last, class, currency), \
        parts AS (SELECT first AS day, class, currency, first_micros AS micros, first_s AS seconds FROM spans \
        UNION ALL SELECT last, class, currency, last_micros, last_s FROM spans WHERE last > first \
        UNION ALL SELECT day, class, currency, day_micros, day_s FROM spans JOIN days ON day > first AND day < last \
        UNION ALL SELECT day, class, currency, micros, seconds FROM settled_days \
        WHERE day >= CAST($6 AS BIGINT) AND day < CAST($7 AS BIGINT) \
        AND ($3 = '' OR account_id = $3) AND ($5 = '' OR service_id = $5)) \
        SELECT CAST(day AS TEXT) AS label, class, currency, CAST(SUM(micros) AS BIGINT) AS micros, \
        CAST(SUM(seconds) AS BIGINT) AS seconds FROM parts GROUP BY day, class, currency ORDER BY day, class, currency"
    )
}
