//! The command line.

mod audit;
mod cost;
mod engine;
mod gateway;
mod limit;
mod resources;
mod serve;
mod service;
mod session;
mod times;
mod upkeep;
mod webhook;
mod worker;

pub(crate) use audit::{Audit, OrphanPolicy};
pub(crate) use cost::{BillArgs, CostArgs, PriceCommand};
pub(crate) use gateway::{ChangeKeyArgs, CreateKeyArgs, KeyCommand};
pub(crate) use limit::{LimitCommand, Scope as LimitScope, SetLimits};
pub(crate) use resources::{
    AccountCommand, Create, ImageCommand, InstanceCommand, ModelCommand, OfferCommand, SecretCommand, VolumeCommand,
    Wait,
};
pub(crate) use serve::{LogFormat, Serve};
pub(crate) use service::{CreateServiceArgs, Scaling, ServiceCommand, UpdateServiceArgs};
pub(crate) use session::{CreateSessionArgs, SessionCommand};
pub(crate) use upkeep::{Doctor, Migrate, Recover};
pub(crate) use webhook::{AlertCommand, CreateWebhookArgs, WebhookCommand};
pub(crate) use worker::{EmulatedServer, Misbehaviour, StandInEngine, WorkerArgs};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Rent GPU instances, track every volume, leave nothing behind.
///
/// Exit codes: 0 success; 1 local error; 2 usage error; 3 not found; 4 refused; 5 the control plane is unreachable or
/// unavailable; 6 the instance failed; 7 time-out; 8 something is left behind; 130 interrupted.
#[derive(Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// Output format: tables for people (wide: all columns); JSON, YAML or names for programs.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Table,
    Wide,
    Json,
    Yaml,
    Name,
}

impl Output {
    /// Whether a program reads the output: then only the result goes to standard output.
    pub(crate) fn is_for_programs(self) -> bool {
        !matches!(self, Self::Table | Self::Wide)
    }
}

/// How to find the control plane. Not clap's `env`: usage lines would show variables that are set as required options.
#[derive(Args)]
pub(crate) struct Connection {
    /// URL of the control plane [env: INVENTIV_URL] [default: http://127.0.0.1:8080].
    #[arg(long, global = true)]
    url: Option<String>,
    /// Token of the control plane. Other users of this machine can see it here: prefer the file.
    #[arg(long, global = true, hide = true)]
    token: Option<String>,
    /// Token file of the control plane [env: INVENTIV_TOKEN_FILE]; INVENTIV_TOKEN may hold the token itself.
    #[arg(long, global = true)]
    token_file: Option<PathBuf>,
}

/// Which account a command is about.
#[derive(Args)]
pub(crate) struct OfAccount {
    /// Account, by its name or id; creating, offers, images and audits need it if there are several [env: INVENTIV_ACCOUNT].
    #[arg(long, global = true)]
    account: Option<String>,
}

impl OfAccount {
    /// The account that was named.
    pub(crate) fn name(&self) -> Option<String> {
        self.account.clone().or_else(|| variable("INVENTIV_ACCOUNT"))
    }
}

/// The default URL of the control plane.
const URL: &str = "http://127.0.0.1:8080";

impl Connection {
    /// The URL of the control plane.
    pub(crate) fn url(&self) -> String {
        self.url.clone().or_else(|| variable("INVENTIV_URL")).unwrap_or_else(|| URL.to_owned())
    }

    /// The token, if it was given directly.
    pub(crate) fn token(&self) -> Option<String> {
        self.token.clone().or_else(|| variable("INVENTIV_TOKEN"))
    }

    /// The token file, if it was given.
    pub(crate) fn token_file(&self) -> Option<PathBuf> {
        self.token_file.clone().or_else(|| variable("INVENTIV_TOKEN_FILE").map(PathBuf::from))
    }
}

/// An empty variable counts as not set.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the control plane: API and orchestrator in one process.
    Serve(Serve),
    /// Run two instance life cycles and a service against an emulated cloud, and prove that nothing is left behind.
    Demo(Demo),
    /// Check the provider behaviour that the product relies on: on an emulated cloud or, with --live, on your account.
    Doctor(Doctor),
    /// Create, list, show, log in to and terminate instances.
    Instance {
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        account: OfAccount,
        #[command(subcommand)]
        command: InstanceCommand,
    },
    /// List and show volumes, retain or release them.
    Volume {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: VolumeCommand,
    },
    /// List the server types that can be rented.
    Offer {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: OfferCommand,
    },
    /// List the images that servers can be created from.
    Image {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: ImageCommand,
    },
    /// Show what runs, what it costs, and what needs a person.
    Status {
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        account: OfAccount,
    },
    /// Show what was spent, at list prices without VAT.
    Cost(CostArgs),
    /// Compare the provider's bill with the ledger, resource by resource.
    ///
    /// Exits with 8 if something is billed that has a name of this control plane and was never counted: it may be a leak.
    Bill(BillArgs),
    /// List the prices that costs are calculated from.
    Price {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: PriceCommand,
    },
    /// Limit what may run and be spent.
    Limit {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: LimitCommand,
    },
    /// Compare the cloud with the records, in both directions: orphans, and resources that have disappeared.
    ///
    /// Exits with 8 if anything is wrong, and with 5 if the result is inconclusive. Deletes nothing without --fix.
    Audit(Audit),
    /// Rebuild a lost or restored database from the names and tags in the cloud.
    ///
    /// Shows a plan, and writes it to the database only with --apply. Changes nothing in the cloud.
    Recover(Recover),
    /// Upgrade the schema of a database, or move all data from SQLite to PostgreSQL.
    Migrate(Migrate),
    /// List provider accounts with what each still owns, and remove empty ones from the list.
    Account {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: AccountCommand,
    },
    /// Follow instances: all living ones, then every change as it happens, until interrupted.
    ///
    /// With --output json, prints one event per line: its kind, its id (for --after) and the instance.
    Watch(Watch),
    /// Explain an instance: desired state, recorded state, what it waits for, and the next steps.
    Explain {
        /// Instance name, id or unique id prefix.
        id: String,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        account: OfAccount,
    },
    /// Manage models and the size of their data volumes.
    Model {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: ModelCommand,
    },
    /// Manage secrets: texts that the control plane stores sealed and never shows.
    Secret {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: SecretCommand,
    },
    /// Create, list, change and delete services: models that are kept answering by as many instances as their load needs.
    Service {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: ServiceCommand,
    },
    /// Manage API keys, for clients that ask models.
    Key {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// List what you should know or do something about now.
    Alert {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: AlertCommand,
    },
    /// Create, test, list and delete webhooks: URLs that alerts are sent to.
    Webhook {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: WebhookCommand,
    },
    /// Print a link that opens the web console, logged in.
    Console {
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        args: CreateSessionArgs,
    },
    /// Create, list and end sessions: tokens that expire, for browsers and for people who may only look.
    Session {
        #[command(flatten)]
        connection: Connection,
        #[command(subcommand)]
        command: SessionCommand,
    },
    /// Run the worker on a server with a GPU. A control plane installs it; systemd starts it.
    Worker(WorkerArgs),
    /// Behave like a server that boots: the command for `scaleway-emulator --boot`.
    #[command(hide = true)]
    EmulatedServer(EmulatedServer),
    /// A stand-in for an engine: it loads no model, and says so in each answer.
    #[command(hide = true)]
    StandInEngine(StandInEngine),
    /// Print shell completions; load them with `source <(inventiv completions bash)`.
    Completions {
        /// The shell to complete commands in.
        shell: clap_complete::Shell,
    },
    /// Print the manual page; read it with `inventiv man | man -l -`.
    Man,
}

#[derive(Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) account: OfAccount,
    /// Follow only this instance: name, id or unique id prefix.
    pub(crate) id: Option<String>,
    /// Follow only instances in this zone.
    #[arg(long)]
    pub(crate) zone: Option<String>,
    /// Resume after the event with this id; this includes instances that have ended since.
    #[arg(long)]
    pub(crate) after: Option<String>,
}

#[derive(Args)]
pub(crate) struct Demo {
    /// Keep running afterwards, and print addresses and commands to paste.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Speed of the emulated cloud's clock: real, xN or instant.
    #[arg(long, default_value = "x10", value_parser = scaleway_emulator::options::ClockMode::parse)]
    pub(crate) clock: scaleway_emulator::options::ClockMode,
}
