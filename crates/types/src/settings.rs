//! The defaults for new instances.

use crate::omitted_or_null;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The defaults for new instances at a provider.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProviderSettings {
    /// The provider, for instance `scaleway`.
    pub provider: String,
    /// The size of the data volume in GB for models whose size is unknown. `null`: requests for such models must
    /// specify it.
    pub worker_data_volume_gb_default: Option<i64>,
    /// Whether a data volume is deleted when its instance ends, unless the request specifies it.
    pub delete_on_terminate_default: bool,
    /// The label of the image, unless the request specifies one.
    pub default_image: String,
}

/// A change of settings. Omitted fields stay unchanged.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChangeSettings {
    /// The size of the data volume in GB for models whose size is unknown. `null`: requests for such models must
    /// specify it.
    #[serde(deserialize_with = "omitted_or_null", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub worker_data_volume_gb_default: Option<Option<i64>>,
    /// Whether a data volume is deleted when its instance ends, unless the request specifies it.
    pub delete_on_terminate_default: Option<bool>,
    /// The label of the image, unless the request specifies one.
    pub default_image: Option<String>,
}
