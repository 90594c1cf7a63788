//! Options: the clock, refusals, and every behaviour that no recording shows.
//!
//! # Not evidenced
//! No recording settles these behaviours. Each is an option with the likeliest default until a run on a real account
//! settles it:
//!
//! | option | open question |
//! |---|---|
//! | [`Options::delete_in_use_block_volume`] | DELETE of a block volume that is in use: refused (412), or accepted |
//! | [`Options::delete_attached_local_volume`] | DELETE of an `l_ssd` or scratch volume on a server: refused, or accepted |
//! | [`Options::delete_running_server`] | DELETE of a running server: refused (400), or accepted |
//! | [`Options::terminate_stopped_server`] | `terminate` of a stopped server: refused (400), or accepted |
//! | [`Options::scratch_survives_delete`] | whether scratch survives `DELETE /servers/{id}` |
//! | [`Options::scratch_with_volumes`] | whether a `volumes` map without scratch prevents the automatic one |
//! | [`Options::stock_refusal`] | when an out-of-stock type is refused: at creation, at start, or by falling back |
//! | [`Options::boot_volume_name_honoured`] | a name for an image's block boot volume, given at creation |
//! | [`Options::block_tags_by_patch`] | tags of a block volume by PATCH |
//! | [`Options::server_tags_any`] | several tags in `GET /servers`: all of them, or any |
//! | [`Options::block_name_exact`] | the `name` filter of block volumes: a part, or the whole name |
//! | [`Options::user_data_max`] | how large one value of user data may be |
//! | [`Options::lingers_stopped_after_terminate`] | seen in 1 of 60 recordings: `stopped` for a while before the 404 |
//! | [`Options::local_gpu_image_for_render`] | known from practice, not from recordings |
//!
//! The bodies of these refusals have the recorded form of a refused action or precondition. So do those for a protected
//! server and for a second attachment. Faults set rate limits of the Instance API, `locked`, volumes in `error`, and
//! the refusals for quota and stock.

/// How time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockMode {
    /// Real time.
    Real,
    /// Faster by a factor.
    Scaled(u32),
    /// Everything completes at once.
    Instant,
    /// Stands still until it is advanced.
    Manual,
}

impl ClockMode {
    /// Reads `real`, `x20`, `instant` or `manual`.
    ///
    /// # Errors
    /// The text is none of these; the message lists them.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "real" => Ok(Self::Real),
            "instant" => Ok(Self::Instant),
            "manual" => Ok(Self::Manual),
            _ => text
                .strip_prefix('x')
                .and_then(|n| n.parse::<u32>().ok())
                .filter(|n| (1..=100_000).contains(n))
                .map(Self::Scaled)
                .ok_or_else(|| {
                    format!("`{text}` is not a clock mode: use real, xN (x20 is 20 times faster), instant or manual")
                }),
        }
    }
}

/// When a type that is out of stock is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockRefusal {
    /// When the server is created.
    Create,
    /// When it is started.
    PowerOn,
    /// Never: the start is accepted, and the server falls back to stopped.
    FallBack,
}

/// The result of deleting a volume that is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteInUse {
    /// Refused: `precondition_failed`.
    Refused,
    /// Accepted: it is deleted.
    Accepted,
}

/// Reads that show the past, for as long as this is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleReads {
    /// The API whose reads are stale: `instance` or `block`; `None`: all.
    pub api: Option<String>,
    /// The kind of resource: `servers`, `volumes`, …; `None`: all.
    pub kind: Option<String>,
    /// Which reads.
    pub reads: Reads,
    /// How old the shown state is, in milliseconds.
    pub lag_ms: i64,
    /// Each read draws its lag from 0 to [`StaleReads::lag_ms`], so a later read may show an earlier state.
    pub backwards: bool,
}

/// Which reads are stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Lists only.
    Lists,
    /// Reads of one resource only.
    Single,
    /// Both.
    Both,
}

impl Reads {
    /// Reads `lists`, `single` or `both`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Lists, Self::Single, Self::Both].into_iter().find(|r| r.text() == text)
    }

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Lists => "lists",
            Self::Single => "single",
            Self::Both => "both",
        }
    }
}

impl StaleReads {
    /// Every read shows the state of so many milliseconds ago.
    #[must_use]
    pub const fn all(lag_ms: i64) -> Self {
        Self { api: None, kind: None, reads: Reads::Both, lag_ms, backwards: false }
    }

    /// Whether a read of a path, given as segments, is stale.
    pub(crate) fn covers(&self, parts: &[&str]) -> bool {
        let is = |wanted: &Option<String>, at: usize| wanted.as_deref().is_none_or(|w| parts.get(at) == Some(&w));
        let in_kind = match self.reads {
            Reads::Lists => parts.len() == 5,
            Reads::Single => parts.len() > 5,
            Reads::Both => parts.len() >= 5,
        };
        in_kind && is(&self.api, 0) && is(&self.kind, 4)
    }
}

/// All options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How time passes.
    pub clock: ClockMode,
    /// The start time of the clock, in microseconds since 1970; API and catalogue behave as of that time. `None`: now.
    pub start_us: Option<i64>,
    /// Draws durations from the recorded spread; `None`: the recorded median, always.
    pub seed: Option<u64>,
    /// The project of requests that name none.
    pub project: String,
    /// The only secret key that is accepted; `None`: any.
    pub secret_key: Option<String>,
    /// Types that are out of stock, as (zone, type); the catalogue shows them as `shortage`.
    pub out_of_stock: Vec<(String, String)>,
    /// Whether the catalogue shows `shortage` for them; otherwise only the refusal reveals it.
    pub stock_is_shown: bool,
    /// When they are refused.
    pub stock_refusal: StockRefusal,
    /// How many servers the project may have in one zone; `None`: no limit.
    pub server_quota: Option<usize>,
    /// How many flexible addresses; `None`: no limit.
    pub ip_quota: Option<usize>,
    /// How many volumes of each API; `None`: no limit.
    pub volume_quota: Option<usize>,
    /// Scratch volumes survive `DELETE /servers/{id}`.
    pub scratch_survives_delete: bool,
    /// A type with scratch gets it even when the request names volumes without scratch.
    pub scratch_with_volumes: bool,
    /// DELETE of a block volume that is in use.
    pub delete_in_use_block_volume: DeleteInUse,
    /// DELETE of an `l_ssd` or scratch volume on a server is accepted.
    pub delete_attached_local_volume: bool,
    /// DELETE of a running server is accepted.
    pub delete_running_server: bool,
    /// `terminate` of a stopped server is accepted.
    pub terminate_stopped_server: bool,
    /// A requested name for an image's block boot volume is applied.
    pub boot_volume_name_honoured: bool,
    /// PATCH sets the tags of a block volume; if not, it is accepted and changes nothing.
    pub block_tags_by_patch: bool,
    /// `GET /servers` with several tags lists servers with any of them.
    pub server_tags_any: bool,
    /// The `name` filter of block volumes matches the whole name only.
    pub block_name_exact: bool,
    /// The most bytes that one value of user data may have; `None`: no limit.
    pub user_data_max: Option<usize>,
    /// After terminate, the server is shown as `stopped` without volumes for 6 s before it is gone.
    pub lingers_stopped_after_terminate: bool,
    /// The marketplace has an `instance_local` image of the GPU system for RENDER-S.
    pub local_gpu_image_for_render: bool,
    /// Reads that are stale.
    pub stale_reads: Vec<StaleReads>,
    /// How long past states are kept for stale reads that are set later, in milliseconds. They are always kept for the
    /// longest lag in effect.
    pub past_ms: i64,
    /// How many requests the journal keeps.
    pub journal_len: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: ClockMode::Real,
            start_us: None,
            seed: None,
            project: "11111111-1111-4111-8111-111111111111".to_owned(),
            secret_key: None,
            out_of_stock: Vec::new(),
            stock_is_shown: true,
            stock_refusal: StockRefusal::Create,
            server_quota: None,
            ip_quota: None,
            volume_quota: None,
            scratch_survives_delete: false,
            scratch_with_volumes: false,
            delete_in_use_block_volume: DeleteInUse::Refused,
            delete_attached_local_volume: false,
            delete_running_server: false,
            terminate_stopped_server: false,
            boot_volume_name_honoured: false,
            block_tags_by_patch: true,
            server_tags_any: false,
            block_name_exact: false,
            user_data_max: None,
            lingers_stopped_after_terminate: false,
            local_gpu_image_for_render: true,
            stale_reads: Vec::new(),
            past_ms: 0,
            journal_len: 10_000,
        }
    }
}

impl Options {
    /// The boolean options, by name.
    pub(crate) fn flags(&mut self) -> [(&'static str, &mut bool); 12] {
        [
            ("stock_is_shown", &mut self.stock_is_shown),
            ("scratch_survives_delete", &mut self.scratch_survives_delete),
            ("scratch_with_volumes", &mut self.scratch_with_volumes),
            ("delete_attached_local_volume", &mut self.delete_attached_local_volume),
            ("delete_running_server", &mut self.delete_running_server),
            ("terminate_stopped_server", &mut self.terminate_stopped_server),
            ("boot_volume_name_honoured", &mut self.boot_volume_name_honoured),
            ("block_tags_by_patch", &mut self.block_tags_by_patch),
            ("server_tags_any", &mut self.server_tags_any),
            ("block_name_exact", &mut self.block_name_exact),
            ("lingers_stopped_after_terminate", &mut self.lingers_stopped_after_terminate),
            ("local_gpu_image_for_render", &mut self.local_gpu_image_for_render),
        ]
    }

    /// The optional limits, by name.
    pub(crate) fn limits(&mut self) -> [(&'static str, &mut Option<usize>); 4] {
        [
            ("server_quota", &mut self.server_quota),
            ("ip_quota", &mut self.ip_quota),
            ("volume_quota", &mut self.volume_quota),
            ("user_data_max", &mut self.user_data_max),
        ]
    }
}

/// The distribution of a recorded duration, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) p50: i64,
    pub(crate) p90: i64,
    pub(crate) max: i64,
}

pub(crate) const POWER_ON: Spread = Spread { p50: 6_000, p90: 21_000, max: 169_000 };
pub(crate) const POWER_ON_GPU: Spread = Spread { p50: 21_000, p90: 26_000, max: 27_000 };
pub(crate) const POWER_OFF: Spread = Spread { p50: 37_000, p90: 53_000, max: 120_000 };
pub(crate) const POWER_OFF_GPU: Spread = Spread { p50: 46_000, p90: 47_000, max: 47_000 };
pub(crate) const STOP_IN_PLACE: Spread = Spread { p50: 37_000, p90: 46_000, max: 48_000 };
pub(crate) const START_IN_PLACE: Spread = Spread { p50: 5_000, p90: 5_000, max: 5_000 };
pub(crate) const REBOOT: Spread = Spread { p50: 38_000, p90: 47_000, max: 47_000 };
pub(crate) const TERMINATE: Spread = Spread { p50: 5_000, p90: 16_000, max: 60_000 };
pub(crate) const TERMINATE_GPU: Spread = Spread { p50: 15_000, p90: 15_000, max: 16_000 };
pub(crate) const BLOCK_CREATE: Spread = Spread { p50: 2_000, p90: 5_000, max: 6_000 };
pub(crate) const BLOCK_UPDATE: Spread = Spread { p50: 3_000, p90: 6_000, max: 6_000 };
pub(crate) const ATTACH: Spread = Spread { p50: 3_000, p90: 5_000, max: 6_000 };
pub(crate) const DETACH: Spread = Spread { p50: 1_000, p90: 5_000, max: 6_000 };
pub(crate) const DETACH_RUNNING: Spread = Spread { p50: 5_000, p90: 45_000, max: 66_000 };
pub(crate) const DETACH_AT_END: Spread = Spread { p50: 3_000, p90: 5_000, max: 6_000 };
pub(crate) const ACTIONS_PAUSE: Spread = Spread { p50: 1_000, p90: 1_000, max: 1_000 };
pub(crate) const SNAPSHOT: Spread = Spread { p50: 20_000, p90: 60_000, max: 120_000 };
pub(crate) const SNAPSHOT_EXPORT: Spread = Spread { p50: 60_000, p90: 120_000, max: 240_000 };
pub(crate) const BLOCK_SNAPSHOT: Spread = Spread { p50: 3_000, p90: 6_000, max: 11_000 };
pub(crate) const BLOCK_SNAPSHOT_EXPORT: Spread = Spread { p50: 5_000, p90: 11_000, max: 60_000 };
pub(crate) const NIC_ATTACH: Spread = Spread { p50: 1_000, p90: 30_000, max: 60_000 };
pub(crate) const SYNC: Spread = Spread { p50: 1_000, p90: 5_000, max: 10_000 };
pub(crate) const REATTACH: Spread = Spread { p50: 20_000, p90: 60_000, max: 60_000 };
pub(crate) const GUEST_BOOT: Spread = Spread { p50: 25_000, p90: 120_000, max: 240_000 };
pub(crate) const REVERSE_DNS: Spread = Spread { p50: 30_000, p90: 120_000, max: 300_000 };
pub(crate) const GUEST_READY: Spread = Spread { p50: 90_000, p90: 150_000, max: 240_000 };
