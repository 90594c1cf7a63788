//! The web console: pages about what runs, what it costs, what is wrong and what was proven.
//!
//! Each page is rendered on the server from responses of the public API, which is called in this process with the token of
//! the viewer's session. A small script keeps pages up to date; every page and action works without it, too.

mod assets;
mod backend;
mod chart;
mod cookie;
mod guard;
mod live;
mod page;
mod pages;
mod show;
mod texts;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use std::sync::Arc;

/// The maximum length of a form, in bytes.
const FORM_MAX: usize = 128 * 1024;
/// The maximum length of a conversation, in bytes: what the API takes, too.
const CHAT_MAX: usize = 256 * 1024;

/// The console of one control plane.
#[derive(Clone)]
pub struct Console {
    api: Arc<Router>,
}

impl Console {
    /// A console that shows what this API returns.
    #[must_use]
    pub fn new(api: Router) -> Self {
        Self { api: Arc::new(api) }
    }

    fn api(&self) -> Router {
        (*self.api).clone()
    }

    /// The routes: `/` and everything below `/console`.
    pub fn router(self) -> Router {
        use pages::{
            audit, bill, chat, costs, instance, instances, login, new_instance, overview, service, services, settings,
            volumes,
        };
        Router::new()
            .route("/", get(overview::show))
            .route("/console", get(overview::home))
            .route("/console/login", get(login::form).post(login::log_in))
            .route("/console/logout", post(login::log_out))
            .route("/console/live", get(live::stream))
            .route("/console/services", get(services::list))
            .route("/console/services/new", get(services::form).post(services::create))
            .route("/console/services/{id}", get(service::show))
            .route("/console/services/{id}/settings", get(page::back).post(service::change))
            .route("/console/services/{id}/warm", get(page::back).post(service::warm))
            .route("/console/services/{id}/ask", get(page::back).post(service::ask))
            .route(
                "/console/services/{id}/chat",
                get(page::back).post(chat::service).layer(DefaultBodyLimit::max(CHAT_MAX)),
            )
            .route("/console/services/{id}/delete", get(service::confirm).post(service::delete))
            .route("/console/instances", get(instances::list))
            .route("/console/instances/new", get(new_instance::form).post(new_instance::create))
            .route("/console/instances/{id}", get(instance::show))
            .route("/console/instances/{id}/log", get(instance::log))
            .route("/console/instances/{id}/log/stream", get(live::log))
            .route("/console/instances/{id}/ask", get(page::back).post(instance::ask))
            .route(
                "/console/instances/{id}/chat",
                get(page::back).post(chat::instance).layer(DefaultBodyLimit::max(CHAT_MAX)),
            )
            .route("/console/instances/{id}/power/{action}", get(page::back).post(instance::power))
            .route("/console/instances/{id}/extend", get(page::back).post(instance::extend))
            .route("/console/instances/{id}/terminate", get(instance::confirm).post(instance::terminate))
            .route("/console/instances/{id}/proof", get(audit::proof))
            .route("/console/volumes", get(volumes::list))
            .route("/console/volumes/{id}", get(volumes::confirm).post(volumes::change))
            .route("/console/audit", get(audit::show).post(audit::request))
            .route("/console/costs", get(costs::show))
            .route("/console/costs/bill", get(bill::show))
            .route("/console/costs/export", get(costs::export))
            .route("/console/settings", get(settings::show))
            .route("/console/settings/{action}", get(page::back).post(settings::act))
            .route("/console/assets/{version}/{name}", get(assets::serve))
            .route("/console/{*other}", get(page::unknown))
            .layer(middleware::from_fn(guard::guard))
            .layer(DefaultBodyLimit::max(FORM_MAX))
            .with_state(self)
    }
}
