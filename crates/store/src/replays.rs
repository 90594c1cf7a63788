//! Requests that are carried out once, however often they are sent.

use crate::Store;
use crate::args::{Args, Columns};
use crate::error::Error;
use inventiv_core::time::Timestamp;

/// How long a request is remembered, in milliseconds: 24 hours.
pub const REMEMBERED_MS: i64 = 24 * 3_600 * 1_000;
/// After this time, in milliseconds, a request in progress was given up: its process may have ended.
const GIVEN_UP_MS: i64 = 60_000;

/// A request that is about to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestClaim {
    /// The key as sent.
    pub key: String,
    /// Identifies the request.
    pub fingerprint: String,
    /// Random bits, different for each attempt.
    pub draw: u128,
    /// Now.
    pub now: Timestamp,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The caller has to carry the request out.
    Yours {
        /// The bits of the id of what it creates, the same at each attempt.
        seed: u128,
        /// When the first attempt began.
        since: Timestamp,
    },
    /// Somebody else carries it out.
    InProgress,
    /// It was carried out.
    Done {
        /// The sealed response.
        sealed: String,
    },
    /// A different request has this key.
    Different,
}

/// An attempt takes over a request that is forgotten, or that was given up.
const CLAIM: &str = "INSERT INTO idempotent_requests AS r \
    (idempotency_key, fingerprint, seed, claim, claimed_at, created_at) VALUES ($1, $2, $3, $3, $4, $4) \
    ON CONFLICT (idempotency_key) DO UPDATE SET fingerprint = excluded.fingerprint, claim = excluded.claim, \
    claimed_at = excluded.claimed_at, \
    seed = CASE WHEN r.created_at < $5 THEN excluded.seed ELSE r.seed END, \
    sealed_response = NULL, \
    created_at = CASE WHEN r.created_at < $5 THEN excluded.created_at ELSE r.created_at END \
    WHERE r.created_at < $5 OR (r.sealed_response IS NULL AND r.fingerprint = $2 AND r.claimed_at < $6)";
const GET: &str = "SELECT * FROM idempotent_requests WHERE idempotency_key = $1";
const FINISH: &str = "UPDATE idempotent_requests SET sealed_response = $1 WHERE idempotency_key = $2 AND claim = $3";
const FORGET: &str = "DELETE FROM idempotent_requests WHERE idempotency_key = $1 AND claim = $2";
/// The time is before every one: the next attempt takes over at once.
const GIVE_UP: &str = "UPDATE idempotent_requests SET claimed_at = 0 WHERE idempotency_key = $1 AND claim = $2";
const FORGET_OLD: &str = "DELETE FROM idempotent_requests WHERE created_at < $1";

impl Store {
    /// Claims a request, or says what became of it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn claim_request(&self, claim: &RequestClaim) -> Result<Claimed, Error> {
        let (draw, now) = (hex(claim.draw), claim.now);
        let mut a = Args::new();
        a.text(&claim.key).text(&claim.fingerprint).text(&draw).time(now);
        a.time(now.plus_ms(-REMEMBERED_MS)).time(now.plus_ms(-GIVEN_UP_MS));
        self.db.write(vec![a.statement(CLAIM)]).await?;
        a.text(&claim.key);
        let rows = self.db.read(a.statement(GET)).await?;
        // Whoever had it was refused meanwhile: the next attempt gets it.
        let Some(row) = rows.first() else { return Ok(Claimed::InProgress) };
        let c = Columns(row);
        if c.text("claim")? == draw {
            let seed = c.word("seed", |text| u128::from_str_radix(text, 16).ok())?;
            return Ok(Claimed::Yours { seed, since: c.time("created_at")? });
        }
        if c.text("fingerprint")? != claim.fingerprint {
            return Ok(Claimed::Different);
        }
        Ok(c.opt_text("sealed_response")?.map_or(Claimed::InProgress, |sealed| Claimed::Done { sealed }))
    }

    /// Keeps the response of a request that was carried out.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn finish_request(&self, claim: &RequestClaim, sealed: &str) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(sealed).text(&claim.key).text(&hex(claim.draw));
        self.db.write(vec![a.statement(FINISH)]).await.map(drop)
    }

    /// Forgets a request that was refused: it changed nothing.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn forget_request(&self, claim: &RequestClaim) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(&claim.key).text(&hex(claim.draw));
        self.db.write(vec![a.statement(FORGET)]).await.map(drop)
    }

    /// Gives a request up whose outcome is unknown: it is carried out again when it is sent again.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn give_request_up(&self, claim: &RequestClaim) -> Result<(), Error> {
        let mut a = Args::new();
        a.text(&claim.key).text(&hex(claim.draw));
        self.db.write(vec![a.statement(GIVE_UP)]).await.map(drop)
    }

    /// Deletes requests that are older than they are remembered.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn forget_old_requests(&self, now: Timestamp) -> Result<(), Error> {
        let mut a = Args::new();
        a.time(now.plus_ms(-REMEMBERED_MS));
        self.db.write(vec![a.statement(FORGET_OLD)]).await.map(drop)
    }
}

fn hex(bits: u128) -> String {
    format!("{bits:032x}")
}
