//! Models, and the size of the data volume that each needs.

use crate::{Time, required_or_null};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The settings of a model.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Model {
    /// The model's id on the hub, for instance `Qwen/Qwen2.5-7B-Instruct`.
    pub id: String,
    /// The size of the data volume in GB; 0 for none; `null` for the recommended size.
    pub data_volume_gb: Option<i64>,
    /// When the model was added.
    pub created_at: Time,
    /// When the model was last changed.
    pub updated_at: Time,
}

/// A new model.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateModel {
    /// The model's id on the hub, for instance `Qwen/Qwen2.5-7B-Instruct`. It may end with `@revision` and
    /// `:quantisation`.
    pub id: String,
    /// The size of the data volume in GB; 0 for none. If omitted, the recommended size.
    pub data_volume_gb: Option<i64>,
}

/// A change of a model.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeModel {
    /// The size of the data volume in GB; 0 for none; `null` for the recommended size.
    #[serde(deserialize_with = "required_or_null")]
    #[schema(required = true)]
    pub data_volume_gb: Option<i64>,
}

/// The page of a list of models.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListModels {
    /// The `next` value of the previous page.
    pub after: Option<String>,
    /// The maximum number of items, from 1 to 500. The default is 100.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}

/// The recommended size of the data volume for a model.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RecommendedDataVolume {
    /// The id of the model.
    pub model_id: String,
    /// The recommended size in GB; `null` if the id does not contain the size of the model.
    pub data_volume_gb: Option<i64>,
    /// How the size was computed, as a sentence.
    pub reason: String,
    /// The terms of the computation; `null` if there is no recommendation.
    pub terms: Option<Terms>,
}

/// The terms of a recommendation.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Terms {
    /// The number of parameters in millions, including all experts.
    pub parameters_millions: i64,
    /// The source of the number of parameters.
    pub parameters_from: String,
    /// The number and size of the experts, for a mixture of experts.
    pub mixture: Option<String>,
    /// The storage format of the weights.
    pub format: String,
    /// The source of the format.
    pub format_from: String,
    /// The bits per parameter, in hundredths of a bit.
    pub bits_per_weight_x100: i64,
    /// The size of the weights, in bytes.
    pub weights_bytes: i64,
    /// The space for the system, container images and caches, in bytes.
    pub base_bytes: i64,
    /// The number of copies of the weights that must fit.
    pub weights_factor: i64,
}
