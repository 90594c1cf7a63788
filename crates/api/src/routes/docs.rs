//! `/docs`: the OpenAPI document as a web page. It contains no secrets, so it requires no token.

use crate::problem::ApiError;
use axum::Router;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use std::sync::{Arc, LazyLock};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

/// The page loads nothing from other hosts.
const POLICY: &str =
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'";

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    Arc::new(Config::new(["/docs/openapi.json"]).try_it_out_enabled(false).persist_authorization(false))
});

pub(crate) fn router<S: Clone + Send + Sync + 'static>(document: fn() -> OpenApi) -> Router<S> {
    Router::new()
        .route("/docs", get(|| async { Redirect::permanent("/docs/") }))
        .route("/docs/", get(|| async { file("") }))
        .route("/docs/openapi.json", get(move || async move { axum::Json(document()) }))
        .route("/docs/{*file}", get(|Path(path): Path<String>| async move { file(&path) }))
}

fn file(path: &str) -> Response {
    match utoipa_swagger_ui::serve(path, CONFIG.clone()) {
        Ok(Some(file)) => {
            let headers = [
                (header::CONTENT_TYPE, file.content_type.as_str()),
                (header::CONTENT_SECURITY_POLICY, POLICY),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (headers, file.bytes.into_owned()).into_response()
        }
        Ok(None) => ApiError::not_found("page", path).into_response(),
        Err(e) => {
            tracing::error!(error = %e, "a file of the documentation cannot be read");
            ApiError::new(500, "internal", "the page cannot be read; the control plane's log says why").into_response()
        }
    }
}
