//! Defaults for all instances at a provider; requests can override them.

use crate::Store;
use crate::args::{Args, Columns};
use crate::db::Written;
use crate::error::Error;
use inventiv_core::time::Timestamp;

/// Settings of one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSettings {
    /// The provider.
    pub provider: String,
    /// Size of the data volume for models without a recommendation, in GB; `None`: 200.
    pub worker_data_volume_gb_default: Option<i64>,
    /// Whether a data volume is deleted with its instance.
    pub delete_on_terminate_default: bool,
    /// The image's label.
    pub default_image: String,
}

impl ProviderSettings {
    /// The initial settings.
    #[must_use]
    pub fn initial(provider: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            worker_data_volume_gb_default: None,
            delete_on_terminate_default: true,
            default_image: "ubuntu_jammy_gpu_os_12".to_owned(),
        }
    }
}

const SET: &str = "INSERT INTO provider_settings (provider, worker_data_volume_gb_default, delete_on_terminate_default, \
    default_image, updated_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (provider) DO UPDATE SET \
    worker_data_volume_gb_default = excluded.worker_data_volume_gb_default, \
    delete_on_terminate_default = excluded.delete_on_terminate_default, \
    default_image = excluded.default_image, updated_at = excluded.updated_at \
    WHERE provider_settings.worker_data_volume_gb_default IS NOT DISTINCT FROM $6 \
    AND provider_settings.delete_on_terminate_default = $7 AND provider_settings.default_image = $8";

impl Store {
    /// The settings of a provider, or the initial ones.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn settings(&self, provider: &str) -> Result<ProviderSettings, Error> {
        let mut a = Args::new();
        a.text(provider);
        let rows = self.db.read(a.statement("SELECT * FROM provider_settings WHERE provider = $1")).await?;
        let Some(row) = rows.first() else { return Ok(ProviderSettings::initial(provider)) };
        let c = Columns(row);
        Ok(ProviderSettings {
            provider: c.text("provider")?,
            worker_data_volume_gb_default: c.opt_int("worker_data_volume_gb_default")?,
            delete_on_terminate_default: c.flag("delete_on_terminate_default")?,
            default_image: c.text("default_image")?,
        })
    }

    /// Reads and changes them; retries if another write came in between.
    ///
    /// # Errors
    /// When the database refuses, or `change` does.
    pub async fn change_settings<E: From<Error>>(
        &self,
        provider: &str,
        now: Timestamp,
        change: impl Fn(&mut ProviderSettings) -> Result<(), E>,
    ) -> Result<ProviderSettings, E> {
        loop {
            let before = self.settings(provider).await?;
            let mut after = before.clone();
            change(&mut after)?;
            let mut a = Args::new();
            a.text(provider).opt_int(after.worker_data_volume_gb_default).flag(after.delete_on_terminate_default);
            a.text(&after.default_image).time(now);
            a.opt_int(before.worker_data_volume_gb_default).flag(before.delete_on_terminate_default);
            a.text(&before.default_image);
            if self.db.write(vec![a.guarded(SET)]).await? == Written::Done {
                return Ok(after);
            }
        }
    }
}
