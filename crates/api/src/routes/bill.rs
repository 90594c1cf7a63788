//! `/bill`

use crate::App;
use crate::extract::Query;
use crate::problem::ApiError;
use crate::view;
use axum::extract::State;
use futures::future::BoxFuture;
use inventiv_core::bill::{BillLine, compare, compared_until};
use inventiv_core::calendar::month_of;
use inventiv_core::time::Timestamp;
use inventiv_types::{Bill, OfMonth};
use std::time::Duration;

/// How long a request waits for the provider: a bill has many pages.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks the provider for the bill of a period. An error says why it cannot be read.
pub type AskBill = Box<dyn Fn(Timestamp, Timestamp) -> BoxFuture<'static, Result<Vec<BillLine>, String>> + Send + Sync>;

/// Compare the provider's bill with the ledger
///
/// The bill is read from the provider, resource by resource, and compared as far as it goes: until the end of the last billed
/// time, if the month ended less than three days ago. What is billed, has a name of this control plane and was never
/// counted may be a leak. See docs/COSTS.md.
#[utoipa::path(get, operation_id = "compareBill", path = "/bill", params(OfMonth), tag = "costs",
    responses((status = 200, description = "The comparison", body = Bill),
        (status = 503, description = "The provider's bill cannot be read")))]
pub(crate) async fn show(State(app): State<App>, Query(query): Query<OfMonth>) -> Result<axum::Json<Bill>, ApiError> {
    let (from, to) = month(query.month.as_deref(), app.now())?;
    let account = app.account_of_query(query.account.as_deref())?;
    let Some(ask) = &account.bill else {
        return Err(ApiError::unavailable("the bill of this provider cannot be read".to_owned()));
    };
    let asked = tokio::time::timeout(PATIENCE, ask(from, to.min(app.now()))).await;
    let lines = asked.unwrap_or_else(|_| Err(format!("no response within {} s", PATIENCE.as_secs())));
    let lines = lines.map_err(|why| ApiError::unavailable(format!("the provider's bill cannot be read: {why}")))?;
    let to = compared_until((from, to), lines.iter().filter_map(|l| l.until).max(), app.now());
    let counted = app.store().counted((from, to), &account.id).await?;
    let compared = compare(app.store().control_plane().await?.as_deref(), &lines, &counted);
    Ok(axum::Json(view::bill(&account.id, (from, to), compared)))
}

/// The period of a month that has begun.
fn month(text: Option<&str>, now: Timestamp) -> Result<(Timestamp, Timestamp), ApiError> {
    let Some(text) = text else { return Ok(month_of(now)) };
    let wrong = || ApiError::parameter("month", "must be a month such as 2026-11, and not after the current one");
    let is_month = text.len() == "2026-11".len();
    let first = Timestamp::parse(&format!("{text}-01T00:00:00Z")).filter(|_| is_month).ok_or_else(wrong)?;
    let (from, to) = month_of(first);
    if from >= now { Err(wrong()) } else { Ok((from, to)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_one_that_has_begun() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let now = at("2026-11-30T10:00:00Z");
        let begin = at("2026-11-01T00:00:00Z");
        for text in [None, Some("2026-11")] {
            assert_eq!(month(text, now).unwrap(), (begin, at("2026-12-01T00:00:00Z")));
        }
        assert_eq!(month(Some("2026-10"), now).unwrap(), (at("2026-10-01T00:00:00Z"), begin));
        for wrong in
            ["", "2026", "2026-13", "2026-12", "2027-01", "2026-11-01", "november", "2026-1", "99999-01", "-026-11"]
        {
            assert!(month(Some(wrong), now).is_err(), "{wrong}");
        }
    }
}
