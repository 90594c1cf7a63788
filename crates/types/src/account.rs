//! Accounts at providers.

use crate::Time;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A provider account that the database has records of.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// The id: provider and project.
    pub id: String,
    /// The account's name in the control plane; `null` if the account is not in use.
    pub name: Option<String>,
    /// The provider, for instance `scaleway`.
    pub provider: String,
    /// The provider's id of the project.
    pub project_id: String,
    /// When the account was first used.
    pub created_at: Time,
    /// Whether the control plane has credentials for the account and works in it.
    pub in_use: bool,
    /// The number of instances that have not ended.
    pub instances: i64,
    /// The number of servers that exist or may exist.
    pub servers: i64,
    /// The number of volumes that exist or may exist, including those that were kept on purpose.
    pub volumes: i64,
}

/// The account that a request is about.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OfAccount {
    /// The account, by name or id. Required only if the control plane works in several accounts.
    pub account: Option<String>,
}
