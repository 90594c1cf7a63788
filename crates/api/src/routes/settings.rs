//! `/provider_settings`

use crate::App;
use crate::etag::{self, IfMatch, Tagged, tagged};
use crate::extract::{Json, Path};
use crate::problem::ApiError;
use crate::view;
use axum::extract::State;
use inventiv_core::volume_size::MAX_GB;
use inventiv_types::{ChangeSettings, Page, ProviderSettings};
use std::collections::BTreeSet;

/// List the settings of all providers
#[utoipa::path(get, operation_id = "listProviderSettings", path = "/provider_settings", tag = "provider settings",
    responses((status = 200, description = "The settings of all providers", body = Page<ProviderSettings>)))]
pub(crate) async fn list(State(app): State<App>) -> Result<axum::Json<Page<ProviderSettings>>, ApiError> {
    let providers: BTreeSet<&str> = app.accounts().iter().map(|a| a.profile.provider.as_str()).collect();
    let mut items = Vec::with_capacity(providers.len());
    for provider in providers {
        items.push(view::settings(&app.store().settings(provider).await?));
    }
    Ok(axum::Json(Page { items, next: None }))
}

fn known(app: &App, provider: &str) -> Result<(), ApiError> {
    let known = app.accounts().iter().any(|a| a.profile.provider == provider);
    if known { Ok(()) } else { Err(ApiError::not_found("provider", provider)) }
}

/// Show a provider's settings
#[utoipa::path(get, operation_id = "getProviderSettings", path = "/provider_settings/{provider}", tag = "provider settings",
    params(("provider" = String, Path, description = "The provider, for instance `scaleway`")),
    responses((status = 200, description = "The settings", body = ProviderSettings)))]
pub(crate) async fn show(
    State(app): State<App>,
    Path(provider): Path<String>,
) -> Result<Tagged<ProviderSettings>, ApiError> {
    known(&app, &provider)?;
    Ok(shown(&app.store().settings(&provider).await?))
}

fn shown(settings: &inventiv_store::ProviderSettings) -> Tagged<ProviderSettings> {
    let view = view::settings(settings);
    tagged(etag::of(&view), view)
}

/// Change a provider's settings
#[utoipa::path(patch, operation_id = "updateProviderSettings", path = "/provider_settings/{provider}",
    tag = "provider settings", request_body = ChangeSettings,
    params(("provider" = String, Path, description = "The provider, for instance `scaleway`"),
        ("If-Match" = Option<String>, Header,
            description = "The `ETag` that you read. If the settings have changed since, the request fails with 412")),
    responses((status = 200, description = "The changed settings", body = ProviderSettings)))]
pub(crate) async fn change(
    State(app): State<App>,
    Path(provider): Path<String>,
    read: IfMatch,
    Json(change): Json<ChangeSettings>,
) -> Result<Tagged<ProviderSettings>, ApiError> {
    known(&app, &provider)?;
    let settings = app
        .store()
        .change_settings(&provider, app.now(), |settings| {
            read.check(&etag::of(&view::settings(settings)))?;
            apply(&change, settings)
        })
        .await?;
    Ok(shown(&settings))
}

fn apply(change: &ChangeSettings, settings: &mut inventiv_store::ProviderSettings) -> Result<(), ApiError> {
    if let Some(gb) = change.worker_data_volume_gb_default {
        if gb.is_some_and(|gb| !(1..=MAX_GB).contains(&gb)) {
            return Err(ApiError::field(
                "worker_data_volume_gb_default",
                format!("must be from 1 to {MAX_GB}, or null"),
            ));
        }
        settings.worker_data_volume_gb_default = gb;
    }
    if let Some(image) = change.default_image.clone() {
        let good = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if image.is_empty() || image.len() > 100 || !image.bytes().all(good) {
            return Err(ApiError::field(
                "default_image",
                "must be a marketplace label such as `ubuntu_jammy_gpu_os_12`",
            ));
        }
        settings.default_image = image;
    }
    settings.delete_on_terminate_default =
        change.delete_on_terminate_default.unwrap_or(settings.delete_on_terminate_default);
    Ok(())
}
