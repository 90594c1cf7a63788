//! What a third party does to our resources, once we know of them.

use super::injection::Kind;
use crate::simulate::cloud::{View, ZONE};
use serde_json::{Value, json};

/// Acts on the first suitable resource that we have observed. `false`: there is none, or the cloud refused.
pub(super) fn acts(kind: Kind, cloud: &View, foreign: &str, known: &dyn Fn(&str) -> bool) -> bool {
    let held = cloud.held();
    let ours = |what: &'static str| {
        let fits = move |k: &&(&'static str, String, String, String)| k.0 == what && k.1 != foreign;
        held.iter().filter(fits).map(|(_, id, ..)| id.as_str()).filter(|id| known(id)).collect::<Vec<_>>()
    };
    let (servers, volumes) = (ours("server"), ours("volume"));
    let Some(server) = servers.first().map(|id| format!("/instance/v1/zones/{ZONE}/servers/{id}")) else {
        return false;
    };
    let block = |id: &str| format!("/block/v1/zones/{ZONE}/volumes/{id}");
    let did = |method: &str, path: &str, body: Option<Value>| (200..300).contains(&cloud.ask(method, path, body).0);
    let action = |word: &str| did("POST", &format!("{server}/action"), Some(json!({"action": word})));
    match kind {
        Kind::ThirdPartyStops => action("poweroff"),
        Kind::ThirdPartyTerminates => action("terminate") || did("DELETE", &server, None),
        Kind::ThirdPartyDetaches => {
            volumes.iter().any(|id| did("POST", &format!("{server}/detach-volume"), Some(json!({"volume_id": id}))))
        }
        Kind::ThirdPartyAttaches => {
            let body = json!({"volume_id": foreign, "volume_type": "sbs_volume"});
            did("POST", &format!("{server}/attach-volume"), Some(body))
        }
        Kind::ThirdPartyDeletes => volumes.iter().any(|id| did("DELETE", &block(id), None)),
        Kind::ThirdPartyRenames => {
            let name = || Some(json!({"name": "renamed by hand", "tags": []}));
            let renamed = did("PATCH", &server, name());
            volumes.iter().fold(renamed, |any, id| did("PATCH", &block(id), name()) || any)
        }
        Kind::CrashBefore
        | Kind::AnswerLost
        | Kind::CrashAfterAnswer
        | Kind::RateLimited
        | Kind::ErrorNotApplied
        | Kind::ErrorApplied
        | Kind::Unauthenticated
        | Kind::Forbidden
        | Kind::NotFound
        | Kind::StaleRead
        | Kind::StalePeriod
        | Kind::BlindInstance
        | Kind::BlindBlock
        | Kind::Twice
        | Kind::Late
        | Kind::CommitCrashBefore
        | Kind::CommitCrashAfter => false,
    }
}
