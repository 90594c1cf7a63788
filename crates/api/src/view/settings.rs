//! Models and the settings of providers.

use super::time;
use inventiv_store::Model;
use inventiv_store::ProviderSettings;
use serde::Serialize;
use utoipa::ToSchema;

/// The settings of a model.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ModelView {
    /// The model's id on the hub, for instance `Qwen/Qwen2.5-7B-Instruct`.
    pub(crate) id: String,
    /// The size of the data volume in GB; 0 for none; `null` for the recommended size.
    pub(crate) data_volume_gb: Option<i64>,
    /// When the model was added.
    pub(crate) created_at: String,
    /// When the model was last changed.
    pub(crate) updated_at: String,
}

impl ModelView {
    pub(crate) fn of(m: &Model) -> Self {
        Self {
            id: m.id.clone(),
            data_volume_gb: m.data_volume_gb,
            created_at: time(m.created_at),
            updated_at: time(m.updated_at),
        }
    }
}

/// The defaults for new instances at a provider.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct SettingsView {
    /// The provider, for instance `scaleway`.
    pub(crate) provider: String,
    /// The size of the data volume in GB for models whose size is unknown. `null`: requests for such models must
    /// specify it.
    pub(crate) worker_data_volume_gb_default: Option<i64>,
    /// Whether a data volume is deleted when its instance ends, unless the request specifies it.
    pub(crate) delete_on_terminate_default: bool,
    /// The label of the image, unless the request specifies one.
    pub(crate) default_image: String,
}

impl SettingsView {
    pub(crate) fn of(s: &ProviderSettings) -> Self {
        Self {
            provider: s.provider.clone(),
            worker_data_volume_gb_default: s.worker_data_volume_gb_default,
            delete_on_terminate_default: s.delete_on_terminate_default,
            default_image: s.default_image.clone(),
        }
    }
}
