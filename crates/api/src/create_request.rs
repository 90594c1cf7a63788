//! The checks of a request to create an instance that need no database.

use crate::App;
use crate::expiry;
use crate::problem::wrong_field;
use crate::serving;
use inventiv_core::cloud::CloudProfile;
use inventiv_core::cloud_config;
use inventiv_core::engine::{EngineKind, MAX_CONTEXT_TOKENS};
use inventiv_core::id::InstanceId;
use inventiv_core::model_id::{self, ModelId};
use inventiv_core::ssh_key;
use inventiv_core::text::is_hidden;
use inventiv_core::volume_size::MAX_GB;
use inventiv_types::{CreateInstance, FieldError};

/// The maximum length of a name, in characters.
const NAME_MAX: usize = 100;
/// The maximum number of tags of a request.
const TAGS_MAX: usize = 20;
/// The maximum number of public keys of a request.
const KEYS_MAX: usize = 20;

/// The mistakes of a request that can be found without the catalogue and the settings.
pub(crate) fn mistakes(request: &CreateInstance, profile: &CloudProfile) -> Vec<FieldError> {
    [
        check_texts(request),
        check_numbers(request, profile),
        check_reused_volume(request),
        serving::mistakes(request),
        expiry::wrong_ttl(request.ttl_seconds).into_iter().collect(),
    ]
    .concat()
}

/// The mistakes of a request's form, and of the values of its other fields.
pub(crate) fn with_values(app: &App, request: &CreateInstance, form: Vec<FieldError>) -> Vec<FieldError> {
    let field = |e: &FieldError| e.pointer.as_deref().and_then(|p| p.split('/').nth(1)).unwrap_or_default().to_owned();
    let reported: Vec<String> = form.iter().map(field).collect();
    let Ok(account) = app.account(request.account.as_deref()) else { return form };
    let others = mistakes(request, &account.profile).into_iter().filter(|e| !reported.contains(&field(e)));
    form.into_iter().chain(others).collect()
}

fn check_texts(request: &CreateInstance) -> Vec<FieldError> {
    let mut wrong: Vec<FieldError> = request.name.as_deref().and_then(wrong_name).into_iter().collect();
    let mut refuse = |field: &str, bad: bool, text: &str| {
        if bad {
            wrong.push(wrong_field(field, text));
        }
    };
    let word = |t: &str, max: usize| {
        !t.is_empty() && t.len() <= max && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:".contains(&b))
    };
    refuse("model_id", request.model_id.as_deref().is_some_and(|m| !is_model_id(m)), model_id::LOOKS_LIKE);
    refuse("zone", !word(&request.zone, 40), "must look like `fr-par-2`");
    let kind = "must look like `L40S-1-48G`; `GET /offers` lists the types";
    refuse("instance_type", !word(&request.instance_type, 60), kind);
    let image = "must be a marketplace label such as `ubuntu_jammy_gpu_os_12`, or an image id";
    refuse("image", request.image.as_deref().is_some_and(|i| !word(i, 100)), image);
    let tags = request.tags.as_deref().unwrap_or_default();
    let keys = request.ssh_keys.as_deref().unwrap_or_default();
    let text = format!("must be at most {KEYS_MAX} public keys, each in one line: `ssh-ed25519 AAAA… me@laptop`");
    refuse("ssh_keys", keys.len() > KEYS_MAX || !keys.iter().all(|k| ssh_key::is_public(k)), &text);
    if let Some(text) = request.user_data.as_deref().and_then(cloud_config::wrong_part) {
        refuse("user_data", true, &text);
    }
    let text = format!(
        "must be at most {TAGS_MAX} tags, each of 1 to 100 characters, without commas or invisible characters, not \
         beginning with `inventiv`"
    );
    refuse("tags", tags.len() > TAGS_MAX || !tags.iter().all(|t| is_tag(t)), &text);
    wrong
}

/// Whether a request may give an instance this tag.
pub(crate) fn is_tag(text: &str) -> bool {
    let is_ours = text.starts_with("inventiv");
    (1..=100).contains(&text.len()) && !is_ours && !text.chars().any(|c| is_hidden(c) || c == ',')
}

/// The fields that a reused volume answers already.
fn check_reused_volume(request: &CreateInstance) -> Vec<FieldError> {
    if request.volume_id.is_none() {
        return Vec::new();
    }
    let given = [
        ("data_volume_gb", request.data_volume_gb.is_some(), "the volume keeps its size"),
        ("perf_iops", request.perf_iops.is_some(), "the volume keeps its speed"),
        ("delete_on_terminate", request.delete_on_terminate.is_some(), "the volume is retained again"),
    ];
    let wrong = given.into_iter().filter(|(_, given, _)| *given);
    wrong.map(|(field, _, why)| wrong_field(field, format!("must be omitted with volume_id: {why}"))).collect()
}

/// What is wrong with an instance's name, if anything is.
pub(crate) fn wrong_name(name: &str) -> Option<FieldError> {
    wrong_name_beside(name, InstanceId::PREFIX)
}

/// What is wrong with a name that is used beside ids with a prefix, if anything is.
pub(crate) fn wrong_name_beside(name: &str, id_prefix: &str) -> Option<FieldError> {
    let text = if name.trim().is_empty() || name.chars().count() > NAME_MAX || name.chars().any(is_hidden) {
        format!("must have 1 to {NAME_MAX} characters, none of them control characters or invisible")
    } else if name.starts_with(id_prefix) {
        format!("must not begin with `{id_prefix}`, because ids begin with it")
    } else if matches!(name, "." | "..") {
        // Path normalisation removes these segments.
        "must not be `.` or `..`, which cannot be used in a path".to_owned()
    } else {
        return None;
    };
    Some(wrong_field("name", text))
}

/// Whether a text has the form of a model id.
pub(crate) fn is_model_id(text: &str) -> bool {
    ModelId::parse(text).is_some()
}

fn check_numbers(request: &CreateInstance, profile: &CloudProfile) -> Vec<FieldError> {
    let mut wrong = Vec::new();
    if request.data_volume_gb.is_some_and(|gb| !(0..=MAX_GB).contains(&gb)) {
        wrong.push(wrong_field("data_volume_gb", format!("must be a whole number from 0 (none) to {MAX_GB}")));
    }
    if request.boot_volume_gb.is_some_and(|gb| !(1..=MAX_GB).contains(&gb)) {
        wrong.push(wrong_field("boot_volume_gb", format!("must be a whole number from 1 to {MAX_GB}")));
    }
    let context = request.engine.as_ref().and_then(|e| e.context_tokens);
    if context.is_some_and(|n| !(1..=MAX_CONTEXT_TOKENS).contains(&n)) {
        wrong.push(wrong_field(
            "engine.context_tokens",
            format!("must be a whole number from 1 to {MAX_CONTEXT_TOKENS}"),
        ));
    }
    let serves = request.engine.as_ref().is_some_and(|e| e.kind != Some(EngineKind::None));
    if serves && request.model_id.is_none() {
        wrong.push(wrong_field("engine", "needs model_id: an engine serves a model"));
    }
    if request.perf_iops.is_some_and(|n| !profile.volume_iops.contains(&n)) {
        let speeds: Vec<String> = profile.volume_iops.iter().map(i64::to_string).collect();
        wrong.push(wrong_field("perf_iops", format!("must be {}", speeds.join(" or "))));
    }
    wrong
}
