//! One attempt to create a server.

use super::evidence::{PendingObservation, Proof};
use super::instance::Retry;
use crate::cloud::UserData;
use crate::error::CallError;
use crate::event_kind::EventKind;
use crate::id::ServerId;
use crate::observed::{ObservedServer, ServerState};
use crate::status::CreateState;
use crate::time::Timestamp;

/// One attempt to create a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its id in the records.
    pub id: ServerId,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// Its unique name in the cloud.
    pub name: String,
    /// `false`: a duplicate or a late arrival, to be removed.
    pub is_primary: bool,
    /// The state of its creation.
    pub create_state: CreateState,
    /// The error of the creation: a refusal or a lost response.
    pub create_error: Option<CallError>,
    /// The cloud's id.
    pub provider_id: Option<String>,
    /// The last observed state, in the cloud's word.
    pub state: Option<String>,
    /// When the intent was committed.
    pub intended_at: Timestamp,
    /// When the response to the creation came, or was given up.
    pub answered_at: Option<Timestamp>,
    /// When we set its name and tags; `None`: they must be set (again).
    pub tagged_at: Option<Timestamp>,
    /// Our tags were observed on it: if they are missing, a third party removed them.
    pub tags_shown: bool,
    /// When user data was set.
    pub user_data_at: Option<Timestamp>,
    /// How many starts were accepted.
    pub starts: u32,
    /// When the intent of a start was first committed, or the server was first observed as not stopped: from then on,
    /// it may have run, and its volumes may hold data.
    pub start_intended_at: Option<Timestamp>,
    /// When the last start was accepted.
    pub start_sent_at: Option<Timestamp>,
    /// When the last stop was accepted.
    pub stop_sent_at: Option<Timestamp>,
    /// When the intent of its removal (terminate or delete) was first committed.
    pub delete_intended_at: Option<Timestamp>,
    /// When its removal was last accepted.
    pub delete_sent_at: Option<Timestamp>,
    /// When it was proven gone.
    pub gone_at: Option<Timestamp>,
    /// The proof of that.
    pub proof: Option<Proof>,
    /// Set while calls about it are refused.
    pub retry: Option<Retry>,
    /// An observation that one stale read could explain, so that it does not count yet.
    pub pending_observation: Option<PendingObservation>,
}

impl Server {
    /// A row for an attempt whose creation was not sent yet.
    #[must_use]
    pub const fn intended(id: ServerId, attempt: u32, name: String, now: Timestamp) -> Self {
        Self {
            id,
            attempt,
            name,
            is_primary: true,
            create_state: CreateState::Intended,
            create_error: None,
            provider_id: None,
            state: None,
            intended_at: now,
            answered_at: None,
            tagged_at: None,
            tags_shown: false,
            user_data_at: None,
            starts: 0,
            start_intended_at: None,
            start_sent_at: None,
            stop_sent_at: None,
            delete_intended_at: None,
            delete_sent_at: None,
            gone_at: None,
            proof: None,
            retry: None,
            pending_observation: None,
        }
    }

    /// A row for a server that exists and was not recorded. It may have run: its user data is not set, and it is not
    /// started again.
    #[must_use]
    pub fn found(id: ServerId, attempt: u32, seen: &ObservedServer, now: Timestamp) -> Self {
        let created = seen.created_at.unwrap_or(now);
        Self {
            create_state: CreateState::Created,
            provider_id: Some(seen.id.clone()),
            state: Some(seen.state.text().to_owned()),
            answered_at: Some(now),
            tagged_at: Some(now),
            user_data_at: Some(now),
            starts: 1,
            start_intended_at: Some(created),
            start_sent_at: Some(created),
            ..Self::intended(id, attempt, seen.name.clone(), created)
        }
    }

    /// Records that the cloud created it: a response or an observation shows it. A server that runs already has been
    /// started, so that its volumes may hold data.
    pub fn created(&mut self, seen: &ObservedServer, user_data: UserData, now: Timestamp) {
        self.provider_id = Some(seen.id.clone());
        self.create_state = CreateState::Created;
        (self.answered_at, self.tagged_at) = (Some(now), Some(now));
        self.state = Some(seen.state.text().to_owned());
        if user_data == UserData::WithCreation {
            self.user_data_at = Some(now);
        }
        if matches!(seen.state, ServerState::Starting | ServerState::Running) && self.start_sent_at.is_none() {
            self.starts = 1;
            (self.start_intended_at, self.start_sent_at) = (Some(now), Some(now));
        }
    }

    /// Whether it exists as far as is known, and its id is known.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.create_state == CreateState::Created && self.gone_at.is_none()
    }

    /// The retry that a stop or a removal waits for. A refused start or reboot delays neither: the server may cost money.
    #[must_use]
    pub fn retry_of_end(&self) -> Option<&Retry> {
        let other = [EventKind::ProviderStart, EventKind::ProviderReboot];
        self.retry.as_ref().filter(|r| r.call.is_none_or(|call| !other.contains(&call)))
    }

    /// Whether anything may have been written to its volumes.
    #[must_use]
    pub const fn may_have_run(&self) -> bool {
        self.start_intended_at.is_some() || self.start_sent_at.is_some()
    }
}
