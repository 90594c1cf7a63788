//! Whether a model fits what is requested, and what it would fit.

use crate::App;
use crate::problem::ApiError;
use inventiv_core::engine::{Engine, EngineKind};
use inventiv_core::fit::{self, FitVerdict};
use inventiv_core::offer::Offer;
use inventiv_types::CreateInstance;

/// How many other types a refusal names.
const NAMED: usize = 3;

/// What is known about a request that is not refused.
#[derive(Default)]
pub(crate) struct Fits {
    pub(crate) engine: Option<Engine>,
    pub(crate) warnings: Vec<String>,
}

/// Refuses a model that does not fit, unless the request says `force`. The refusal names the cheapest types that it
/// fits.
pub(crate) async fn check(app: &App, request: &CreateInstance, offer: &Offer) -> Result<Fits, ApiError> {
    let Some(model) = request.model_id.as_deref() else { return Ok(Fits::default()) };
    let wanted = request.engine.clone().unwrap_or_default();
    let engine = Engine::choose(model, wanted.kind, wanted.context_tokens);
    if engine.kind == EngineKind::None {
        // Nothing is known about what serves it.
        return Ok(Fits { engine: Some(engine), warnings: Vec::new() });
    }
    let found = fit::fit(model, engine, offer);
    let mut warnings = found.warnings;
    match found.verdict {
        FitVerdict::Fits => {}
        FitVerdict::Unknown => warnings.push(found.reason),
        FitVerdict::DoesNotFit if request.force == Some(true) => {
            warnings.push(format!("the model does not fit {}: {}", offer.instance_type, found.reason));
        }
        FitVerdict::DoesNotFit => {
            let account = app.account(request.account.as_deref()).map_err(|text| ApiError::field("account", text))?;
            let all = app.store().offers(&account.id, None).await?;
            let text = format!(
                "{model} does not fit {}: {}; {}; `force` creates it nevertheless",
                offer.instance_type,
                found.reason,
                instead(model, engine, &all, &request.zone)
            );
            return Err(ApiError::field("instance_type", text));
        }
    }
    Ok(Fits { engine: Some(engine), warnings })
}

/// The cheapest types that the model fits: in the zone, and if there are none, elsewhere.
fn instead(model: &str, engine: Engine, offers: &[Offer], zone: &str) -> String {
    let here = fit::cheapest(model, engine, offers.iter().filter(|o| o.zone == zone), NAMED);
    if !here.is_empty() {
        return format!("in {zone}, it fits {}", named(&here, false));
    }
    let elsewhere = fit::cheapest(model, engine, offers, NAMED);
    let size_decides = offers.iter().any(|o| o.gpu_count > 0 && fit::fit(model, engine, o).terms.is_some());
    if elsewhere.is_empty() && !size_decides {
        return "no type suits this engine and these files; choose another engine or another model".to_owned();
    }
    if elsewhere.is_empty() {
        return "no type that is in stock has enough memory; choose a smaller model or quantisation".to_owned();
    }
    format!("no type in {zone} fits; elsewhere, it fits {}", named(&elsewhere, true))
}

fn named(offers: &[&Offer], with_zone: bool) -> String {
    let one = |o: &&Offer| {
        let zone = if with_zone { format!(" in {}", o.zone) } else { String::new() };
        format!("{}{zone} ({})", o.instance_type, o.price)
    };
    offers.iter().map(one).collect::<Vec<_>>().join(", ")
}
