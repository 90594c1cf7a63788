//! Models and the settings of providers.

use inventiv_types::{Model, ProviderSettings, Time};

pub(crate) fn model(m: &inventiv_store::Model) -> Model {
    Model {
        id: m.id.clone(),
        data_volume_gb: m.data_volume_gb,
        created_at: Time(m.created_at),
        updated_at: Time(m.updated_at),
    }
}

pub(crate) fn settings(s: &inventiv_store::ProviderSettings) -> ProviderSettings {
    ProviderSettings {
        provider: s.provider.clone(),
        worker_data_volume_gb_default: s.worker_data_volume_gb_default,
        delete_on_terminate_default: s.delete_on_terminate_default,
        default_image: s.default_image.clone(),
    }
}
