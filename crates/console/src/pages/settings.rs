//! Keys, secrets by name, limits, prices, accounts, webhooks and sessions.

use crate::backend::{Refusal, segment};
use crate::page::{Answer, Failure, Frame, Section, Viewer, filled, go_to, number, page, refused};
use crate::show::{self, Tone};
use crate::texts::EN;
use askama::Template;
use axum::extract::{Form, Path};
use http::{Method, StatusCode};
use inventiv_types::{
    Account, AccountCheck, Check, CheckSubject, CreateKey, CreateSession, CreateWebhook, CreatedKey, CreatedSession,
    CreatedWebhook, Delivery, DeliveryStatus, Key, KeyStatus, Limits, LimitsInUse, ListPrices, OnLimit, Price,
    ProviderSettings, PutSecret, Role, Secret, SecretValue, Session, Webhook,
};
use serde::Deserialize;

/// How long the link of a reader is valid, in seconds.
const READER_SECONDS: i64 = 30 * 24 * 60 * 60;

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    frame: Frame,
    keys: Vec<Key>,
    secrets: Vec<Secret>,
    limits: LimitsInUse,
    scoped: Vec<LimitsInUse>,
    prices: Vec<Price>,
    accounts: Vec<Account>,
    providers: Vec<ProviderSettings>,
    webhooks: Vec<Webhook>,
    sessions: Vec<Session>,
    /// The session of this page.
    own: Option<Session>,
    /// A secret that is shown once.
    made: Option<Made>,
    done: Option<String>,
    /// What a check of an account has found.
    checked: Option<AccountCheck>,
}

/// A secret that was made, and is shown once.
struct Made {
    label: &'static str,
    text: String,
}

impl SettingsPage {
    fn key_badge(key: &Key) -> show::Markup {
        match key.status {
            KeyStatus::Valid => show::badge("valid", Tone::Good),
            KeyStatus::Expired => show::badge("expired", Tone::Idle),
            KeyStatus::Revoked => show::badge("revoked", Tone::Idle),
        }
    }

    fn subject(check: &Check) -> &'static str {
        match check.subject {
            CheckSubject::Catalogue => EN.check_catalogue,
            CheckSubject::Inventory => EN.check_inventory,
            CheckSubject::StoragePrices => EN.check_prices,
        }
    }

    fn check_badge(check: &Check) -> show::Markup {
        if check.passed { show::badge(EN.passed, Tone::Good) } else { show::badge(EN.not_passed, Tone::Bad) }
    }

    fn is_valid(key: &Key) -> bool {
        key.status == KeyStatus::Valid
    }

    /// What limits of their own are about.
    fn scope(limits: &LimitsInUse) -> String {
        match (&limits.service, &limits.tag) {
            (Some(service), _) => format!("{} {service}", EN.service),
            (None, Some(tag)) => format!("{} {tag}", EN.tag),
            (None, None) => String::new(),
        }
    }

    fn currency(&self) -> &str {
        Self::currency_of(&self.limits)
    }

    fn currency_of(limits: &LimitsInUse) -> &str {
        limits.limits.currency.as_deref().unwrap_or("EUR")
    }

    fn drains(&self) -> bool {
        self.limits.limits.on_limit == Some(OnLimit::Drain)
    }

    fn is_own(&self, session: &Session) -> bool {
        self.own.as_ref().is_some_and(|own| own.id == session.id)
    }
}

/// Millionths as whole units, for a form; a rest is shown as decimals.
pub(crate) fn units(micros: &Option<i64>) -> String {
    let Some(micros) = *micros else { return String::new() };
    let rest = format!("{:06}", micros % 1_000_000);
    let rest = rest.trim_end_matches('0');
    if rest.is_empty() { (micros / 1_000_000).to_string() } else { format!("{}.{rest}", micros / 1_000_000) }
}

/// A price per unit and hour, in billionths, as a decimal number.
pub(crate) fn price(nanos: &i64) -> String {
    let rest = format!("{:09}", nanos % 1_000_000_000);
    let rest = rest.trim_end_matches('0');
    format!("{}.{}", nanos / 1_000_000_000, if rest.len() < 2 { format!("{rest:0<2}") } else { rest.to_owned() })
}

/// The page.
pub(crate) async fn show(viewer: Viewer) -> Answer {
    page(&read(&viewer).await?)
}

async fn read(viewer: &Viewer) -> Result<SettingsPage, Failure> {
    let api = &viewer.api;
    let mut keys: Vec<Key> = api.all("/keys", &()).await?;
    keys.retain(|key| key.status != KeyStatus::Revoked);
    Ok(SettingsPage {
        frame: viewer.frame(Section::Settings, EN.settings),
        keys,
        secrets: api.all("/secrets", &()).await?,
        limits: api.get("/limits", &()).await?,
        scoped: api.get("/limits/scoped", &()).await?,
        prices: api.all("/prices", &ListPrices::default()).await?,
        accounts: api.get("/accounts", &()).await?,
        providers: api.all("/provider_settings", &()).await?,
        webhooks: api.all("/webhooks", &()).await?,
        sessions: api.all("/sessions", &()).await?,
        own: viewer.access.session.clone(),
        made: None,
        done: None,
        checked: None,
    })
}

/// The fields of every form of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Fields {
    id: Option<String>,
    name: Option<String>,
    value: Option<String>,
    scope: Option<String>,
    instances: Option<String>,
    gpus: Option<String>,
    day: Option<String>,
    month: Option<String>,
    drain: Option<String>,
}

/// What an action has to show.
enum Outcome {
    Nothing,
    Made(Made),
    Said(String),
    Checked(AccountCheck),
}

/// Carries out the action of one form.
pub(crate) async fn act(viewer: Viewer, Path(action): Path<String>, Form(fields): Form<Fields>) -> Answer {
    match carry_out(&viewer, &action, fields).await {
        Ok(Outcome::Nothing) => Ok(go_to("/console/settings")),
        Ok(Outcome::Made(made)) => {
            let mut shown = read(&viewer).await?;
            shown.made = Some(made);
            page(&shown)
        }
        Ok(Outcome::Said(text)) => {
            let mut shown = read(&viewer).await?;
            shown.done = Some(text);
            page(&shown)
        }
        Ok(Outcome::Checked(checked)) => {
            let mut shown = read(&viewer).await?;
            shown.checked = Some(checked);
            page(&shown)
        }
        Err(refusal) if refusal.is_unauthorized() => Err(Failure::LoggedOut),
        Err(refusal) => {
            let mut shown = read(&viewer).await?;
            shown.frame.error = Some(refusal.text);
            refused(&shown, refusal.status)
        }
    }
}

async fn carry_out(viewer: &Viewer, action: &str, fields: Fields) -> Result<Outcome, Refusal> {
    let api = &viewer.api;
    let id = segment(fields.id.as_deref().unwrap_or_default());
    match action {
        "create-key" => {
            let request = CreateKey {
                name: filled(fields.name).unwrap_or_default(),
                scopes: filled(fields.scope).map(|scope| vec![scope]),
                requests_per_minute: None,
                tokens_per_minute: None,
                expires_at: None,
            };
            let created: CreatedKey = api.post("/keys", &request, None).await?;
            return Ok(made(EN.new_key, created.value.expose().to_owned()));
        }
        "create-reader" => {
            let request = CreateSession {
                name: filled(fields.name),
                role: Some(Role::Reader),
                ttl_seconds: Some(READER_SECONDS),
            };
            let created: CreatedSession = api.post("/sessions", &request, None).await?;
            // The part after `#` is not sent to any server, so it is in no log.
            return Ok(made(EN.new_reader, format!("/console/login#{}", created.token.expose())));
        }
        "create-webhook" => {
            let request = CreateWebhook {
                name: filled(fields.name).unwrap_or_default(),
                url: SecretValue::new(filled(fields.value).unwrap_or_default()),
                kinds: None,
            };
            let created: CreatedWebhook = api.post("/webhooks", &request, None).await?;
            return Ok(made(EN.new_webhook, created.secret.expose().to_owned()));
        }
        "test-webhook" => {
            let delivery: Delivery = api.post(&format!("/webhooks/{id}/test"), &(), None).await?;
            return Ok(Outcome::Said(told(&delivery)));
        }
        "check-account" => {
            return Ok(Outcome::Checked(api.post(&format!("/accounts/{id}/check"), &(), None).await?));
        }
        "revoke-key" => api.act(Method::DELETE, &format!("/keys/{id}")).await?,
        "delete-secret" => api.act(Method::DELETE, &format!("/secrets/{id}")).await?,
        "delete-webhook" => api.act(Method::DELETE, &format!("/webhooks/{id}")).await?,
        "end-session" => api.act(Method::DELETE, &format!("/sessions/{id}")).await?,
        "end-sessions" => api.act(Method::DELETE, "/sessions").await?,
        "set-secret" => {
            let path = format!("/secrets/{}", segment(&filled(fields.name).unwrap_or_default()));
            let request = PutSecret { value: SecretValue::new(fields.value.unwrap_or_default()) };
            api.change::<Secret>(Method::PUT, &path, &request, None).await?;
        }
        "set-limits" => {
            let current: LimitsInUse = api.get("/limits", &()).await?;
            let request = Limits {
                instances: number(EN.limit_instances, fields.instances)?,
                gpus: number(EN.limit_gpus, fields.gpus)?,
                day_micros: amount(EN.limit_day, fields.day)?,
                month_micros: amount(EN.limit_month, fields.month)?,
                currency: current.limits.currency,
                on_limit: Some(if fields.drain.is_some() { OnLimit::Drain } else { OnLimit::Refuse }),
            };
            api.change::<LimitsInUse>(Method::PUT, "/limits", &request, None).await?;
        }
        _ => return Err(Refusal { status: StatusCode::NOT_FOUND, text: EN.no_such_page.to_owned() }),
    }
    Ok(Outcome::Nothing)
}

const fn made(label: &'static str, text: String) -> Outcome {
    Outcome::Made(Made { label, text })
}

fn told(delivery: &Delivery) -> String {
    match (delivery.status, &delivery.error) {
        (DeliveryStatus::Delivered, _) => EN.webhook_accepted.to_owned(),
        (_, Some(error)) => error.clone(),
        (_, None) => EN.webhook_waits.to_owned(),
    }
}

/// An amount such as `12` or `12.50`, in millionths.
fn amount(field: &str, text: Option<String>) -> Result<Option<i64>, Refusal> {
    let Some(text) = filled(text) else { return Ok(None) };
    let wrong = || Refusal { status: StatusCode::UNPROCESSABLE_ENTITY, text: format!("{field}: {}", EN.amount) };
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let is_decimal = !whole.is_empty() && rest.len() <= 6 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if !is_decimal || rest.contains('.') {
        return Err(wrong());
    }
    let micros = whole.parse::<i64>().ok().and_then(|units| units.checked_mul(1_000_000));
    let rest: i64 = format!("{rest:0<6}").parse().map_err(|_| wrong())?;
    micros.and_then(|m| m.checked_add(rest)).map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::{amount, price, units};

    #[test]
    fn an_amount_is_read_exactly_or_refused() {
        for (text, micros) in [("12", 12_000_000), ("12.5", 12_500_000), ("0.000001", 1), (" 7 ", 7_000_000)] {
            let read = amount("day", Some(text.to_owned())).unwrap();
            assert_eq!(read, Some(micros), "{text}");
        }
        assert_eq!(amount("day", Some(" ".to_owned())).unwrap(), None);
        for wrong in ["-1", "1,5", "1.2.3", "1e3", ".5", "0.0000001", "9223372036854775807", "€5"] {
            assert!(amount("day", Some(wrong.to_owned())).unwrap_err().text.starts_with("day: "), "{wrong}");
        }
    }

    #[test]
    fn an_amount_in_a_form_reads_back() {
        for micros in [0, 1, 12_500_000, 7_000_000, i64::MAX] {
            assert_eq!(amount("day", Some(units(&Some(micros)))).unwrap(), Some(micros));
        }
        assert_eq!(units(&None), "");
        assert_eq!(
            (price(&130_000), price(&1_469_916_000), price(&2_000_000_000)),
            ("0.00013".to_owned(), "1.469916".to_owned(), "2.00".to_owned())
        );
    }
}
