//! The request to create an instance, and the checks that need no database.

use crate::problem::FieldError;
use inventiv_core::cloud::CloudProfile;
use inventiv_core::cloud_config;
use inventiv_core::id::InstanceId;
use inventiv_core::model_id::{self, ModelId};
use inventiv_core::ssh_key;
use inventiv_core::text::is_hidden;
use inventiv_core::volume_size::MAX_GB;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The maximum length of a name, in characters.
const NAME_MAX: usize = 100;
/// The maximum number of tags of a request.
const TAGS_MAX: usize = 20;
/// The maximum number of public keys of a request.
const KEYS_MAX: usize = 20;

/// The desired instance. Only `zone` and `instance_type` are required.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateInstance {
    /// A name, unique among the instances of the account that have not ended. It must not begin with `ins-`. If it is
    /// omitted, it is made from the type and the id.
    #[schema(min_length = 1, max_length = 100, example = "qwen")]
    pub(crate) name: Option<String>,
    /// The account, by name or id. Required only if the control plane works in several accounts.
    #[schema(max_length = 200, example = "prod")]
    pub(crate) account: Option<String>,
    /// The zone, for instance `fr-par-2`.
    #[schema(max_length = 40, pattern = "^[A-Za-z0-9_./:-]+$", example = "fr-par-2")]
    pub(crate) zone: String,
    /// The provider's server type, for instance `L40S-1-48G`. `GET /offers` lists the types with their prices.
    #[schema(max_length = 60, pattern = "^[A-Za-z0-9_./:-]+$", example = "L40S-1-48G")]
    pub(crate) instance_type: String,
    /// The model that the instance is for, for instance `Qwen/Qwen2.5-7B-Instruct`. It determines the size of the data
    /// volume if `data_volume_gb` is omitted.
    #[schema(min_length = 1, max_length = 300, example = "Qwen/Qwen2.5-7B-Instruct")]
    pub(crate) model_id: Option<String>,
    /// The image, by label or id. `GET /images` lists the labels. If omitted, the `default_image` of
    /// the provider settings.
    #[schema(max_length = 100, pattern = "^[A-Za-z0-9_./:-]+$", example = "ubuntu_jammy_gpu_os_12")]
    pub(crate) image: Option<String>,
    /// The size of the data volume in GB; 0 for none. If omitted, it is chosen for `model_id`; without a model, there
    /// is none.
    #[schema(minimum = 0, maximum = 10_000, example = 200)]
    pub(crate) data_volume_gb: Option<i64>,
    /// The minimum size of the boot volume in GB, for types that boot from block storage. If omitted, the size of the
    /// image.
    #[schema(minimum = 1, maximum = 10_000)]
    pub(crate) boot_volume_gb: Option<i64>,
    /// The I/O operations per second of the data volume: 5000 or 15000. If omitted, the provider's default.
    #[schema(minimum = 5_000, maximum = 15_000, example = 5_000)]
    pub(crate) perf_iops: Option<i64>,
    /// Whether the data volume is deleted when the instance ends. If omitted, the provider setting
    /// `delete_on_terminate_default` applies.
    pub(crate) delete_on_terminate: Option<bool>,
    /// Tags for the server and its volumes, each of 1 to 100 characters, without commas, not beginning with `inventiv`.
    #[schema(max_items = 20)]
    pub(crate) tags: Option<Vec<String>>,
    /// Public SSH keys that may log in, in addition to those of the provider's project.
    #[schema(max_items = 20, example = json!(["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@laptop"]))]
    pub(crate) ssh_keys: Option<Vec<String>>,
    /// An additional cloud-init part (`#cloud-config`, or a script that begins with `#!`), at most 65536 bytes. It is
    /// stored unencrypted in the database and can be read on the server, so it must not contain secrets.
    #[schema(max_length = 65_536, example = "#!/bin/sh\necho hello")]
    pub(crate) user_data: Option<String>,
}

/// The mistakes of a request that can be found without the catalogue and the settings.
pub(crate) fn mistakes(request: &CreateInstance, profile: &CloudProfile) -> Vec<FieldError> {
    [check_texts(request), check_numbers(request, profile)].concat()
}

fn check_texts(request: &CreateInstance) -> Vec<FieldError> {
    let mut wrong: Vec<FieldError> = request.name.as_deref().and_then(wrong_name).into_iter().collect();
    let mut refuse = |field: &str, bad: bool, text: &str| {
        if bad {
            wrong.push(FieldError::field(field, text));
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
    let good = |t: &String| {
        (1..=100).contains(&t.len()) && !t.starts_with("inventiv") && !t.chars().any(|c| is_hidden(c) || c == ',')
    };
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
    refuse("tags", tags.len() > TAGS_MAX || !tags.iter().all(good), &text);
    wrong
}

/// What is wrong with an instance's name, if anything is.
pub(crate) fn wrong_name(name: &str) -> Option<FieldError> {
    let text = if name.trim().is_empty() || name.chars().count() > NAME_MAX || name.chars().any(is_hidden) {
        format!("must have 1 to {NAME_MAX} characters, none of them control characters or invisible")
    } else if name.starts_with(InstanceId::PREFIX) {
        format!("must not begin with `{}`, because ids begin with it", InstanceId::PREFIX)
    } else if matches!(name, "." | "..") {
        // Path normalisation removes these segments.
        "must not be `.` or `..`, which cannot be used in a path".to_owned()
    } else {
        return None;
    };
    Some(FieldError::field("name", text))
}

/// Whether a text has the form of a model id.
pub(crate) fn is_model_id(text: &str) -> bool {
    ModelId::parse(text).is_some()
}

fn check_numbers(request: &CreateInstance, profile: &CloudProfile) -> Vec<FieldError> {
    let mut wrong = Vec::new();
    if request.data_volume_gb.is_some_and(|gb| !(0..=MAX_GB).contains(&gb)) {
        wrong.push(FieldError::field("data_volume_gb", format!("must be a whole number from 0 (none) to {MAX_GB}")));
    }
    if request.boot_volume_gb.is_some_and(|gb| !(1..=MAX_GB).contains(&gb)) {
        wrong.push(FieldError::field("boot_volume_gb", format!("must be a whole number from 1 to {MAX_GB}")));
    }
    if request.perf_iops.is_some_and(|n| !profile.volume_iops.contains(&n)) {
        let speeds: Vec<String> = profile.volume_iops.iter().map(i64::to_string).collect();
        wrong.push(FieldError::field("perf_iops", format!("must be {}", speeds.join(" or "))));
    }
    wrong
}
