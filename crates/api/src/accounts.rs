//! The accounts that instances are created in, and which of them a request is about.

use crate::App;
use crate::AskBill;
use crate::account_check::Checks;
use crate::images::Images;
use crate::problem::ApiError;
use inventiv_core::cloud::CloudProfile;
use inventiv_core::storage_prices::StoragePrices;
use std::sync::Arc;

/// An account that this control plane works in.
pub struct Account {
    /// The id: provider and project.
    pub id: String,
    /// A short name, for instance that of a credentials profile; the id if it has none.
    pub name: String,
    /// The properties of its provider.
    pub profile: CloudProfile,
    /// How to ask the provider for images; `None`: images are not checked.
    pub images: Option<Images>,
    /// How to check the account at its provider; `None`: it is not checked.
    pub check: Option<Checks>,
    /// How to read the bill; `None`: it is not compared.
    pub bill: Option<AskBill>,
}

impl App {
    /// Every account, in the order in which they were given.
    pub(crate) fn accounts(&self) -> &[Account] {
        &self.inner.accounts
    }

    /// The account with that id; `None`: this control plane has no credentials for it.
    pub(crate) fn account_of(&self, id: &str) -> Option<&Account> {
        self.accounts().iter().find(|a| a.id == id)
    }

    /// The account that a request names by name or id. If there is only one, it need not be named.
    ///
    /// # Errors
    /// A text that lists the accounts.
    pub(crate) fn account(&self, named: Option<&str>) -> Result<&Account, String> {
        let all = self.accounts();
        let names = || all.iter().map(|a| a.name.as_str()).collect::<Vec<_>>().join(", ");
        match (named, all) {
            (Some(text), _) => all
                .iter()
                .find(|a| a.name == text || a.id == text)
                .ok_or_else(|| format!("unknown account; this control plane works in {}", names())),
            (None, [only]) => Ok(only),
            (None, _) => Err(format!("this control plane works in several accounts; name one of {}", names())),
        }
    }

    /// The account that a query names.
    ///
    /// # Errors
    /// 422 with a list of the accounts.
    pub(crate) fn account_of_query(&self, named: Option<&str>) -> Result<&Account, ApiError> {
        self.account(named).map_err(|text| ApiError::parameter("account", text))
    }

    /// The prices of storage and addresses in a zone of an account. Where none were read, those that the account's cloud
    /// usually has; if the cloud is not known, no price is.
    pub(crate) fn storage_prices(&self, account_id: &str, zone: &str) -> Arc<StoragePrices> {
        let list = || self.profile(account_id).map(|p| Arc::new(p.storage_prices.clone())).unwrap_or_default();
        self.store().storage_prices(account_id, zone).unwrap_or_else(list)
    }

    /// The properties of an account's cloud, even without credentials for the account; `None` for a cloud in which no
    /// account is in use.
    pub(crate) fn profile(&self, account_id: &str) -> Option<&CloudProfile> {
        let provider = account_id.split_once(':').map(|(provider, _)| provider);
        let same_cloud = || self.accounts().iter().find(|a| Some(a.profile.provider.as_str()) == provider);
        self.account_of(account_id).or_else(same_cloud).map(|a| &a.profile)
    }
}
