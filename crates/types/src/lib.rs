//! The requests and responses of the HTTP API, shared by the control plane and its clients.
//!
//! Sizes are in bytes and whole GB (10^9 bytes), money is in millionths of a currency, times are RFC 3339 in UTC with
//! microseconds. A client ignores fields that it does not know; the control plane refuses them.

mod account;
mod action_log;
mod action_words;
mod alert;
mod audit;
mod bill;
mod cost;
mod event;
mod expiry;
mod fit;
mod focus;
mod health;
mod instance;
mod key;
mod limits;
mod model;
mod offer;
mod page;
mod plan;
mod problem;
mod proof;
mod secret;
mod service;
mod session;
mod settings;
mod snapshot;
mod time;
mod volume;
mod worker;

pub use account::{Account, AccountCheck, Check, CheckSubject, OfAccount};
pub use action_log::{ActionLog, ListLogs};
pub use action_words::action_words;
pub use alert::{Alert, CreateWebhook, CreatedWebhook, Delivery, DeliveryStatus, Webhook, WebhookData, WebhookMessage};
pub use audit::{Audit, AuditRequest, Finding, Quarantined, Verdict, ZoneAudit};
pub use bill::{Bill, BillOfOthers, BillSum, BilledResource, OfMonth};
pub use cost::{
    Cost, CostForecast, CostRate, CostTotal, Costs, CurrencyForecast, ListCosts, ListPrices, OrphanCosts, Price,
    UnpricedResources,
};
pub use event::{EventName, FollowEvents, SnapshotBegins, SnapshotReason, StreamEvent};
pub use expiry::Extend;
pub use fit::{Engine, EngineRequest, FitEngine, FitQuery, MemoryTerms, ModelFit, TypeFit};
pub use focus::{FOCUS_COLUMNS, FocusRow};
pub use health::{Health, HealthStatus};
pub use instance::{
    ChangeInstance, CreateInstance, HistoryEntry, Instance, InstanceCounts, InstanceDetail, ListInstances, Note,
    StuckDeletion,
};
pub use inventiv_core::alert::{AlertKind, Severity};
pub use inventiv_core::audit::FindingKind;
pub use inventiv_core::cost_group::CostGroup;
pub use inventiv_core::engine::EngineKind;
pub use inventiv_core::fit::FitVerdict;
pub use inventiv_core::ledger::{ChargeClass, ChargeKind};
pub use inventiv_core::limits::OnLimit;
pub use inventiv_core::offer::{Availability, BootStorage};
pub use inventiv_core::quote::PartKind;
pub use inventiv_core::role::Role;
pub use inventiv_core::service::ServiceStatus;
pub use inventiv_core::snapshot_kind::SnapshotKind;
pub use inventiv_core::status::{LogStatus, NoteCode, Origin, ResourceKind, Status, VolumeStatus};
pub use inventiv_core::sweep::Policy;
pub use inventiv_core::worker::report::Phase;
pub use key::{ChangeKey, CreateKey, CreatedKey, Key, KeyStatus};
pub use limits::{Limits, LimitsInUse, OfLimit};
pub use model::{ChangeModel, CreateModel, ListModels, Model, RecommendedDataVolume, Terms};
pub use offer::{Image, ListImages, ListOffers, Offer};
pub use page::Page;
pub use plan::{InstancePlan, PlanPart};
pub use problem::{FieldError, Problem};
pub use proof::{Certainty, CleanupState, InstanceProof, Proof, ResourceProof};
pub use secret::{
    PutSecret, SECRET_NAME_MAX, SECRET_NAME_RULE, SECRET_VALUE_MAX_BYTES, Secret, SecretValue, is_secret_name,
};
pub use service::{
    CreateService, DryRun, ListUsage, Service, ServiceCandidate, ServiceLoad, ServiceReplica, ServiceSettings, Usage,
    WarmService,
};
pub use session::{Access, CreateSession, CreatedSession, Session};
pub use settings::{ChangeSettings, ProviderSettings};
pub use snapshot::Snapshot;
pub use time::Time;
pub use volume::{ChangeVolume, ListVolumes, OwnedVolume, Storage, VolumePolicy};
pub use worker::{
    Disk, DownloadProgress, EngineState, Gpu, InstanceLogLine, ListLogLines, ProbeResult, ServingFailure, Worker,
};

use serde::{Deserialize, Deserializer};

/// Deserializes a field that is required and may be `null`.
pub(crate) fn required_or_null<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i64>, D::Error> {
    Option::deserialize(d)
}

/// Deserializes a field that may be omitted or `null`, and distinguishes the two.
pub(crate) fn omitted_or_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    d: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(d).map(Some)
}
