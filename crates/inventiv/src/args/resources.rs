//! Commands on what the server holds: instances, volumes, offers, models and accounts.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum InstanceCommand {
    /// Ask for an instance.
    Create(Box<Create>),
    /// List instances that are not over, the newest last.
    #[command(visible_alias = "ls")]
    List {
        /// Those that are over, too.
        #[arg(long, short)]
        all: bool,
        /// Only in this status; several with commas between.
        #[arg(long, value_delimiter = ',', conflicts_with = "all")]
        status: Vec<String>,
        /// Only in this zone.
        #[arg(long)]
        zone: Option<String>,
        /// Only for this model.
        #[arg(long)]
        model: Option<String>,
    },
    /// Show an instance with every volume.
    #[command(visible_alias = "get")]
    Show {
        /// Its id, a unique beginning of it, or its name.
        id: String,
    },
    /// Give an instance another name.
    #[command(visible_alias = "mv")]
    Rename {
        /// Its id, a unique beginning of it, or its name.
        id: String,
        /// The new name.
        name: String,
    },
    /// Log in to an instance with this machine's `ssh`.
    Ssh {
        /// Its id, a unique beginning of it, or its name.
        id: String,
        /// As whom.
        #[arg(long, short, default_value = "root")]
        login: String,
        /// What `ssh` is given besides: options, or a command to run there.
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Show the evidence of an instance's end; exit code 8 while it cannot be called clean.
    Proof {
        /// Its id, a unique beginning of it, or its name.
        id: String,
    },
    /// Take instances away, with every volume that goes with them.
    #[command(visible_alias = "rm")]
    Terminate {
        /// Their ids, unique beginnings of these, or their names.
        #[arg(required_unless_present = "all")]
        ids: Vec<String>,
        /// All that live.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// Do not ask.
        #[arg(long, short, requires = "all")]
        yes: bool,
        /// Follow it until everything is proven gone.
        #[arg(long)]
        wait: bool,
        /// How long to wait, in seconds.
        #[arg(long, default_value_t = 3_600)]
        timeout: u64,
    },
}

#[derive(Args)]
pub(crate) struct Create {
    /// The cloud's server type, for instance L40S-1-48G.
    #[arg(long = "type")]
    pub(crate) instance_type: String,
    /// Where, for instance fr-par-2.
    #[arg(long)]
    pub(crate) zone: String,
    /// The model, for instance Qwen/Qwen2.5-7B-Instruct; it sizes the data volume.
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// A name for people.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The image's label or id.
    #[arg(long)]
    pub(crate) image: Option<String>,
    /// The data volume in GB; 0: none.
    #[arg(long)]
    pub(crate) data_volume_gb: Option<i64>,
    /// The boot volume in GB, where it can be grown.
    #[arg(long)]
    pub(crate) boot_volume_gb: Option<i64>,
    /// The data volume's speed: 5000 or 15000.
    #[arg(long)]
    pub(crate) perf_iops: Option<i64>,
    /// Keep the data volume when the instance ends.
    #[arg(long)]
    pub(crate) retain: bool,
    /// A tag; may be given several times.
    #[arg(long = "tag")]
    pub(crate) tags: Vec<String>,
    /// A public SSH key that may log in, besides those of the provider's project: the key or its file; may be given several
    /// times.
    #[arg(long = "ssh-key", value_name = "KEY|FILE")]
    pub(crate) ssh_keys: Vec<String>,
    /// A file with a cloud-init part of your own: `#cloud-config`, or a script that begins with `#!`. No secrets.
    #[arg(long, value_name = "FILE")]
    pub(crate) user_data: Option<PathBuf>,
    /// A text of your own: the same command again with the same key makes no second instance, but shows the first.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Follow it until it is ready.
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait, in seconds.
    #[arg(long, default_value_t = 3_600)]
    pub(crate) timeout: u64,
}

#[derive(Subcommand)]
pub(crate) enum VolumeCommand {
    /// List volumes.
    #[command(visible_alias = "ls")]
    List {
        /// Only in this status, for instance retained.
        #[arg(long)]
        status: Option<String>,
        /// Only of this instance: its id, a unique beginning of it, or its name.
        #[arg(long)]
        instance: Option<String>,
    },
    /// Show a volume.
    #[command(visible_alias = "get")]
    Show {
        /// Its id.
        id: String,
    },
    /// Keep a volume when its instance ends.
    Retain {
        /// Its id.
        id: String,
    },
    /// Let a volume go: with its instance, or now if that has ended.
    Release {
        /// Its id.
        id: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum OfferCommand {
    /// List server types with price and availability.
    #[command(visible_alias = "ls")]
    List {
        /// Only in this zone.
        #[arg(long)]
        zone: Option<String>,
        /// Types without GPUs, too.
        #[arg(long)]
        all: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum ImageCommand {
    /// List images with the types that they fit.
    #[command(visible_alias = "ls")]
    List {
        /// In this zone.
        #[arg(long)]
        zone: String,
        /// Only those that fit this server type.
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
        /// Its id, for instance Qwen/Qwen2.5-7B-Instruct.
        id: String,
    },
    /// Add a model.
    Add {
        /// Its id, as on the hub.
        id: String,
        /// Its data volume in GB; 0: none; left out: as recommended.
        #[arg(long)]
        data_volume_gb: Option<i64>,
    },
    /// Change a model.
    Set {
        /// Its id.
        id: String,
        /// Its data volume in GB; 0: none; left out: as recommended.
        #[arg(long)]
        data_volume_gb: Option<i64>,
    },
    /// Remove a model; instances that serve it stay.
    #[command(visible_alias = "rm")]
    Remove {
        /// Its id.
        id: String,
    },
    /// Say how large a data volume a model needs, and why; it need not have been added.
    Recommend {
        /// Its id.
        id: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum AccountCommand {
    /// List accounts.
    #[command(visible_alias = "ls")]
    List,
    /// Take an account off the list; refused while it owns anything.
    Remove {
        /// Its id, for instance scaleway:11111111-1111-4111-8111-111111111111.
        id: String,
    },
}
