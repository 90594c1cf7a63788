//! Commands on the resources of the control plane: instances, volumes, offers, images, models, secrets and accounts.

use super::OfAccount;
use super::engine::{EngineArgs, ServingArgs};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum InstanceCommand {
    /// Create an instance.
    Create(Box<Create>),
    /// List living instances, the newest last.
    #[command(visible_alias = "ls")]
    List {
        /// Include instances that have ended.
        #[arg(long, short)]
        all: bool,
        /// Only instances with this status; separate several with commas.
        #[arg(long, value_delimiter = ',', conflicts_with = "all")]
        status: Vec<String>,
        /// Only instances in this zone.
        #[arg(long)]
        zone: Option<String>,
        /// Only instances for this model.
        #[arg(long)]
        model: Option<String>,
    },
    /// Show an instance with all its volumes.
    #[command(visible_alias = "get")]
    Show {
        /// Instance name, id or unique id prefix.
        id: String,
    },
    /// Rename an instance.
    #[command(visible_alias = "mv")]
    Rename {
        /// Instance name, id or unique id prefix.
        id: String,
        /// The new name.
        name: String,
    },
    /// Set when an instance ends by itself.
    Extend {
        /// Instance name, id or unique id prefix.
        id: String,
        #[command(flatten)]
        ttl: Ttl,
    },
    /// Show what the engine, the worker and the installation of an instance wrote.
    #[command(visible_alias = "log")]
    Logs {
        /// Instance name, id or unique id prefix.
        id: String,
        /// Go on with new lines until Ctrl-C.
        #[arg(long, short)]
        follow: bool,
        /// Only lines from one source.
        #[arg(long, value_parser = ["engine", "worker", "install"])]
        source: Option<String>,
        /// At most so many of the last lines.
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=2000))]
        tail: u32,
    },
    /// Log in to an instance with this machine's `ssh`.
    Ssh {
        /// Instance name, id or unique id prefix.
        id: String,
        /// Login name.
        #[arg(long, short, default_value = "root")]
        login: String,
        /// More arguments for `ssh`: options, or a command to run on the instance.
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Stop an instance: power its server off and keep its volumes, which still cost money.
    Stop {
        /// Instance name, id or unique id prefix.
        id: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Start a stopped instance.
    Start {
        /// Instance name, id or unique id prefix.
        id: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Reboot a ready instance.
    Reboot {
        /// Instance name, id or unique id prefix.
        id: String,
    },
    /// Show the evidence that an instance's resources are gone; exits with 8 until the proof is clean.
    Proof {
        /// Instance name, id or unique id prefix.
        id: String,
    },
    /// Terminate instances and delete their volumes, except retained ones.
    #[command(visible_alias = "rm")]
    Terminate {
        /// Instance names, ids or unique id prefixes.
        #[arg(required_unless_present = "all")]
        ids: Vec<String>,
        /// Terminate all living instances (of the account, if one is named).
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// Do not ask for confirmation.
        #[arg(long, short, requires = "all")]
        yes: bool,
        /// Wait until every resource is proven gone.
        #[arg(long)]
        wait: bool,
        /// How long to wait at most, in seconds.
        #[arg(long, default_value_t = 3_600)]
        timeout: u64,
    },
}

/// When something ends by itself.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Ttl {
    /// Ends after this time from now on: 90m, 8h, 2d.
    #[arg(long, value_name = "DURATION", value_parser = super::times::seconds)]
    ttl: Option<i64>,
    /// Ends at this time: 18:00 (the next one, in the time zone of this machine), or 2026-07-30T18:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = super::times::until)]
    until: Option<i64>,
    /// Does not end by itself.
    #[arg(long)]
    never: bool,
}

impl Ttl {
    /// How long from now on, in seconds; `None`: for ever.
    pub(crate) fn seconds(&self) -> Option<i64> {
        self.ttl.or(self.until)
    }
}

/// When something new ends by itself.
#[derive(Args)]
pub(crate) struct NewTtl {
    /// End by itself after this time: 90m, 8h, 2d; by default never.
    #[arg(long, value_name = "DURATION", value_parser = super::times::seconds, conflicts_with = "until")]
    ttl: Option<i64>,
    /// End by itself at this time: 18:00 (the next one, in the time zone of this machine), or 2026-07-30T18:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = super::times::until)]
    until: Option<i64>,
}

impl NewTtl {
    /// How long from now on, in seconds; `None`: for ever.
    pub(crate) fn seconds(&self) -> Option<i64> {
        self.ttl.or(self.until)
    }
}

/// Whether a command waits for what it requested.
#[derive(Args)]
pub(crate) struct Wait {
    /// Wait until it is done.
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait at most, in seconds.
    #[arg(long, default_value_t = 3_600)]
    pub(crate) timeout: u64,
}

#[derive(Args)]
pub(crate) struct Create {
    /// Server type, for example L40S-1-48G; see `inventiv offer list`.
    #[arg(long = "type")]
    pub(crate) instance_type: String,
    /// Zone, for example fr-par-2.
    #[arg(long)]
    pub(crate) zone: String,
    /// Model that the instance is for, for example Qwen/Qwen2.5-7B-Instruct; sizes the data volume, and must fit the GPUs.
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Name, unique among living instances.
    #[arg(long)]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) engine: ServingArgs,
    /// Retained volume to use as the data volume, with its content; see `inventiv volume list --status retained`.
    #[arg(long = "volume", value_name = "VOLUME", conflicts_with_all = ["data_volume_gb", "perf_iops", "retain"])]
    pub(crate) volume_id: Option<String>,
    /// Create the instance although the model does not fit its GPUs.
    #[arg(long, requires = "model")]
    pub(crate) force: bool,
    /// Image label or id; see `inventiv image list`.
    #[arg(long)]
    pub(crate) image: Option<String>,
    /// Size of the data volume in GB; 0: no data volume.
    #[arg(long)]
    pub(crate) data_volume_gb: Option<i64>,
    /// Size of the boot volume in GB, where it can be grown.
    #[arg(long)]
    pub(crate) boot_volume_gb: Option<i64>,
    /// Performance of the data volume in IOPS: 5000 or 15000.
    #[arg(long)]
    pub(crate) perf_iops: Option<i64>,
    /// Keep the data volume when the instance ends.
    #[arg(long)]
    pub(crate) retain: bool,
    /// Tag; repeatable.
    #[arg(long = "tag")]
    pub(crate) tags: Vec<String>,
    /// Public SSH key that may log in, besides those of the provider's project: the key or its file; repeatable.
    #[arg(long = "ssh-key", value_name = "KEY|FILE")]
    pub(crate) ssh_keys: Vec<String>,
    /// File with your own cloud-init part: `#cloud-config`, or a script that begins with `#!`. Must hold no secrets.
    #[arg(long, value_name = "FILE")]
    pub(crate) user_data: Option<PathBuf>,
    /// Idempotency key: the same command with the same key creates no second instance, but shows the first.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    #[command(flatten)]
    pub(crate) ttl: NewTtl,
    /// End by itself when nobody has asked the model for this time: 30m, 2h; by default never.
    #[arg(long, value_name = "DURATION", value_parser = super::times::seconds, requires = "model")]
    pub(crate) idle: Option<i64>,
    /// Check the request and show what it would make and cost; create nothing.
    #[arg(long, conflicts_with = "wait")]
    pub(crate) dry_run: bool,
    /// Create it without asking.
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Create what this plan of a `--dry-run` showed, without asking; refused if the plan no longer holds.
    #[arg(long, value_name = "PLAN", conflicts_with = "dry_run")]
    pub(crate) plan: Option<String>,
    /// Wait until the instance is ready.
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait at most, in seconds.
    #[arg(long, default_value_t = 3_600)]
    pub(crate) timeout: u64,
}

#[derive(Subcommand)]
pub(crate) enum VolumeCommand {
    /// List volumes.
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        account: OfAccount,
        /// Only volumes with this status, for example retained.
        #[arg(long)]
        status: Option<String>,
        /// Only volumes of this instance: name, id or unique id prefix.
        #[arg(long)]
        instance: Option<String>,
    },
    /// Show a volume.
    #[command(visible_alias = "get")]
    Show {
        /// Volume id.
        id: String,
    },
    /// Keep a volume when its instance ends.
    Retain {
        /// Volume id.
        id: String,
    },
    /// Release a volume: delete it with its instance, or now if the instance has ended.
    Release {
        /// Volume id.
        id: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum OfferCommand {
    /// List server types with price and availability.
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        account: OfAccount,
        /// Only offers in this zone.
        #[arg(long)]
        zone: Option<String>,
        /// Include types without GPUs.
        #[arg(long)]
        all: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum ImageCommand {
    /// List images with the server types that they fit.
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        account: OfAccount,
        /// Zone, for example fr-par-2.
        #[arg(long)]
        zone: String,
        /// Only images that fit this server type.
        #[arg(long = "type")]
        instance_type: Option<String>,
    },
}

#[derive(Subcommand)]
pub(crate) enum ModelCommand {
    /// List models.
    #[command(visible_alias = "ls")]
    List,
    /// Show a model.
    #[command(visible_alias = "get")]
    Show {
        /// Model id, for example Qwen/Qwen2.5-7B-Instruct.
        id: String,
    },
    /// Add a model.
    Add {
        /// Model id, as on the Hugging Face Hub.
        id: String,
        /// Size of its data volume in GB; 0: no data volume; by default as recommended.
        #[arg(long)]
        data_volume_gb: Option<i64>,
    },
    /// Change the data volume size of a model.
    Set {
        /// Model id.
        id: String,
        /// Size of its data volume in GB; 0: no data volume; by default as recommended.
        #[arg(long)]
        data_volume_gb: Option<i64>,
    },
    /// Remove a model; instances that serve it are not affected.
    #[command(visible_alias = "rm")]
    Remove {
        /// Model id.
        id: String,
    },
    /// Recommend a data volume size for a model, with the reasons; the model need not have been added.
    Recommend {
        /// Model id.
        id: String,
    },
    /// Show which server types a model fits, with prices; the model need not have been added.
    Fit {
        /// Model id.
        id: String,
        #[command(flatten)]
        account: OfAccount,
        /// Only types in this zone.
        #[arg(long)]
        zone: Option<String>,
        /// Only this server type.
        #[arg(long = "type", value_name = "TYPE")]
        instance_type: Option<String>,
        #[command(flatten)]
        engine: EngineArgs,
        /// Show types that the model does not fit, too; with `-o wide`, the reasons.
        #[arg(long)]
        all: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum SecretCommand {
    /// Set a secret to a value from standard input, a file or an environment variable; one line break at its end is
    /// removed.
    Set {
        /// Name: 1 to 64 characters of a-z, 0-9, `-` and `_`; the first one is a letter.
        name: String,
        /// Read the value from this file.
        #[arg(long, value_name = "FILE", conflicts_with = "from_env")]
        from_file: Option<PathBuf>,
        /// Read the value from this environment variable.
        #[arg(long, value_name = "VARIABLE")]
        from_env: Option<String>,
    },
    /// List secrets, without their values.
    #[command(visible_alias = "ls")]
    List,
    /// Delete a secret.
    #[command(visible_alias = "rm")]
    Delete {
        /// Name.
        name: String,
    },
    /// Add a new key to the key file of this machine; `inventiv serve` seals with it from its next start on.
    RotateKey {
        /// Key file; by default `key` beside the token file.
        #[arg(long, value_name = "FILE", env = "INVENTIV_KEY_FILE")]
        key_file: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
pub(crate) enum AccountCommand {
    /// List accounts.
    #[command(visible_alias = "ls")]
    List,
    /// Check an account at its provider: credentials, catalogue, what can be seen, prices. Changes nothing.
    Check {
        /// Account id or name; by default every account in use.
        id: Option<String>,
    },
    /// Remove an account from the list; refused while it still owns anything.
    Remove {
        /// Account id, for example scaleway:11111111-1111-4111-8111-111111111111.
        id: String,
    },
}
