//! Accounts at providers, and what a check of one shows.

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

/// What a check of an account asked the provider for. Nothing is changed by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckSubject {
    /// The server types of a zone, with their prices and stock.
    Catalogue,
    /// The servers and volumes of the account in a zone: whether all of them can be seen.
    Inventory,
    /// The prices of block storage in a zone.
    StoragePrices,
}

/// One question to the provider, and its result.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// The zone.
    pub zone: String,
    /// What was asked for.
    pub subject: CheckSubject,
    /// Whether the response is complete and usable.
    pub passed: bool,
    /// What was found, or what is wrong.
    pub text: String,
    /// How long the provider took, in milliseconds.
    pub duration_ms: i64,
}

/// The result of a check of an account.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AccountCheck {
    /// The account.
    pub account_id: String,
    /// Whether every check passed.
    pub passed: bool,
    /// The checks of every zone that the control plane works in.
    pub checks: Vec<Check>,
}

/// The account that a request is about.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OfAccount {
    /// The account, by name or id. Required only if the control plane works in several accounts.
    pub account: Option<String>,
}
