//! What every page has: its frame, the session it is shown to, and its errors.

use crate::backend::{Backend, Refusal};
use crate::texts::{EN, Texts};
use crate::{Console, assets, cookie};
use askama::Template;
use axum::extract::FromRequestParts;
use axum::response::{Html, IntoResponse, Redirect, Response};
use http::StatusCode;
use http::request::Parts;
use inventiv_types::{Access, Account, ListOffers, Offer, Role};

/// The sections of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Overview,
    Services,
    Instances,
    Volumes,
    Audit,
    Costs,
    Settings,
}

/// What is around every page.
pub(crate) struct Frame {
    pub(crate) t: &'static Texts,
    pub(crate) section: Section,
    pub(crate) title: String,
    /// Whether the session may change something.
    pub(crate) can_change: bool,
    /// What went wrong with the last action.
    pub(crate) error: Option<String>,
    pub(crate) version: &'static str,
}

impl Frame {
    /// The sections with their addresses, and whether each is the current one.
    pub(crate) fn sections(&self) -> [(&'static str, &'static str, bool); 7] {
        let t = self.t;
        [
            (Section::Overview, "/", t.overview),
            (Section::Services, "/console/services", t.services),
            (Section::Instances, "/console/instances", t.instances),
            (Section::Volumes, "/console/volumes", t.volumes),
            (Section::Audit, "/console/audit", t.audit),
            (Section::Costs, "/console/costs", t.costs),
            (Section::Settings, "/console/settings", t.settings),
        ]
        .map(|(section, path, name)| (path, name, section == self.section))
    }
}

/// The session that a page is shown to.
pub(crate) struct Viewer {
    pub(crate) api: Backend,
    pub(crate) access: Access,
}

impl Viewer {
    pub(crate) fn frame(&self, section: Section, title: impl Into<String>) -> Frame {
        Frame {
            t: &EN,
            section,
            title: title.into(),
            can_change: self.access.role == Role::Operator,
            error: None,
            version: &assets::VERSION,
        }
    }
}

impl Viewer {
    /// The accounts that the control plane works in.
    pub(crate) async fn accounts(&self) -> Result<Vec<Account>, Refusal> {
        let mut all: Vec<Account> = self.api.get("/accounts", &()).await?;
        all.retain(|account| account.in_use);
        Ok(all)
    }

    /// The server types with a GPU that are not at the end of their service, of every account.
    pub(crate) async fn offers(&self) -> Result<Vec<(Account, Offer)>, Refusal> {
        let mut all = Vec::new();
        for account in self.accounts().await? {
            let query = ListOffers { gpu: Some(true), account: Some(account.id.clone()), zone: None };
            let offers: Vec<Offer> = self.api.all("/offers", &query).await?;
            all.extend(offers.into_iter().filter(|o| !o.end_of_service).map(|offer| (account.clone(), offer)));
        }
        all.sort_by(|(_, a), (_, b)| {
            (a.hourly_micros, &a.instance_type, &a.zone).cmp(&(b.hourly_micros, &b.instance_type, &b.zone))
        });
        Ok(all)
    }
}

impl FromRequestParts<Console> for Viewer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Failure> {
        let token = cookie::token(&parts.headers).ok_or(Failure::LoggedOut)?;
        let api = Backend::new(console.api(), token);
        let access = api.get("/access", &()).await?;
        Ok(Self { api, access })
    }
}

/// Why there is no page.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There is no session, or it has ended.
    LoggedOut,
    Refused(Refusal),
    Template(askama::Error),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        if refusal.is_unauthorized() { Self::LoggedOut } else { Self::Refused(refusal) }
    }
}

impl From<askama::Error> for Failure {
    fn from(e: askama::Error) -> Self {
        Self::Template(e)
    }
}

/// A page, or why there is none.
pub(crate) type Answer = Result<Response, Failure>;

/// A page.
pub(crate) fn page(template: &impl Template) -> Answer {
    Ok(Html(template.render()?).into_response())
}

/// A page about an action that was refused.
pub(crate) fn refused(template: &impl Template, status: StatusCode) -> Answer {
    Ok((status, Html(template.render()?)).into_response())
}

/// The browser goes on to another page.
pub(crate) fn go_to(path: &str) -> Response {
    Redirect::to(path).into_response()
}

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage {
    t: &'static Texts,
    version: &'static str,
    status: u16,
    text: String,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::LoggedOut => return go_to("/console/login"),
            Self::Refused(refusal) => (refusal.status, refusal.text),
            Self::Template(e) => (StatusCode::INTERNAL_SERVER_ERROR, e.to_string()),
        };
        let page = FailurePage { t: &EN, version: &assets::VERSION, status: status.as_u16(), text };
        match page.render() {
            Ok(html) => (status, Html(html)).into_response(),
            Err(e) => (status, e.to_string()).into_response(),
        }
    }
}

/// No such page.
pub(crate) async fn unknown() -> Failure {
    Failure::Refused(Refusal { status: StatusCode::NOT_FOUND, text: EN.no_such_page.to_owned() })
}

/// A field of a form or a query; an empty one counts as omitted.
pub(crate) fn filled(text: Option<String>) -> Option<String> {
    text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty())
}

/// A whole number of a form.
///
/// # Errors
/// A sentence that names the field.
pub(crate) fn number<N: std::str::FromStr>(field: &str, text: Option<String>) -> Result<Option<N>, Refusal> {
    let Some(text) = filled(text) else { return Ok(None) };
    let wrong = || Refusal { status: StatusCode::UNPROCESSABLE_ENTITY, text: format!("{field}: {}", EN.whole_number) };
    text.parse().map(Some).map_err(|_| wrong())
}

/// The address of an action leads back to the page that it belongs to.
pub(crate) async fn back(uri: http::Uri) -> Response {
    let parts: Vec<&str> = uri.path().split('/').collect();
    // `/console/<section>/<id>/…`, and `/console/settings/<action>`.
    let kept = if parts.get(2) == Some(&"settings") { 3 } else { 4 };
    go_to(&parts[..kept.min(parts.len())].join("/"))
}
