//! `/costs/focus`

use super::costs::{filter, period};
use crate::App;
use crate::extract::Query;
use crate::problem::ApiError;
use crate::view::{self, Names};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use inventiv_core::cost_group::CostGroup;
use inventiv_store::ChargePiece;
use inventiv_types::ListCosts;

/// The maximum number of rows of a response.
const ROWS_MAX: i64 = 200_000;

/// Export costs
///
/// Comma-separated values in the columns of FOCUS 1.2 (FinOps Open Cost and Usage Specification): a row for each resource, day
/// (UTC) and price. Costs are list prices without VAT: they are estimates of the bill. What may exist, and what is a third
/// party's, is not exported. The period begins at midnight. `group_by` has no meaning here.
#[utoipa::path(get, operation_id = "exportCosts", path = "/costs/focus", params(ListCosts), tag = "costs",
    responses((status = 200, description = "The rows, with a header", content_type = "text/csv", body = String)))]
pub(crate) async fn export(
    State(app): State<App>,
    Query(query): Query<ListCosts>,
) -> Result<impl IntoResponse, ApiError> {
    if query.group_by.is_some() {
        return Err(ApiError::parameter(
            "group_by",
            "must be omitted: an export has a row for each resource, day and price",
        ));
    }
    let (period, filter) = (period(&app, &query, CostGroup::Day)?, filter(&app, &query).await?);
    let store = app.store();
    let pieces = store.charge_pieces(period, &filter, ROWS_MAX + 1).await?;
    if i64::try_from(pieces.len()).is_ok_and(|n| n > ROWS_MAX) {
        return Err(ApiError::parameter("from", format!("gives more than {ROWS_MAX} rows; export shorter periods")));
    }
    let accounts = app.accounts().iter().map(|a| (a.id.clone(), (a.name.clone(), a.profile.provider.clone())));
    let names = Names {
        accounts: accounts.collect(),
        instances: store.charged_names(period, &filter).await?,
        tags: store.charged_tags(period, &filter).await?,
    };
    let text = csv(&pieces, &names).map_err(|e| {
        tracing::error!(error = %e, "costs cannot be written as comma-separated values");
        ApiError::new(500, "internal", "the export cannot be written; the control plane's log says why")
    })?;
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], text))
}

/// The rows with a header, also if there are none.
fn csv(pieces: &[ChargePiece], names: &Names) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    writer.write_record(inventiv_types::FOCUS_COLUMNS)?;
    pieces.iter().try_for_each(|p| writer.serialize(view::focus(p, names)))?;
    writer.into_inner().map_err(|e| csv::Error::from(e.into_error()))
}
