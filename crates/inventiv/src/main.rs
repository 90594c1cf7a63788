//! `inventiv`: rent GPU instances, track every volume, leave nothing behind.
//!
//! One executable: the control plane (`serve`), its client (`instance`, `volume`, `offer`, `watch`, `explain`, …), and
//! `demo`, which needs nothing else.

mod account_check;
mod accounts;
mod args;
mod client;
mod commands;
mod confirm;
mod failure;
mod home;
mod output;
mod progress;
mod sealed;
mod server;

use args::{Cli, Command};
use clap::{CommandFactory, Parser};
use failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(e) => Err(Failure::general(format!("cannot start the runtime: {e}"))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("inventiv: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let output = cli.output;
    match cli.command {
        Command::Serve(serve) => commands::serve::run(serve).await,
        Command::Demo(demo) => commands::demo::run(demo, output).await,
        Command::Doctor(doctor) => commands::doctor::run(doctor, output).await,
        Command::Instance { command, connection, account } => {
            commands::instance::run(command, &connection, account.name(), output).await
        }
        Command::Volume { command, connection } => commands::volume::run(command, &connection, output).await,
        Command::Offer { command, connection } => commands::offer::run(command, &connection, output).await,
        Command::Image { command, connection } => commands::image::run(command, &connection, output).await,
        Command::Status { connection, account } => commands::status::run(&connection, account.name(), output).await,
        Command::Cost(cost) => commands::cost::run(cost, output).await,
        Command::Bill(bill) => commands::bill::run(bill, output).await,
        Command::Price { command, connection } => commands::cost::prices(command, &connection, output).await,
        Command::Limit { command, connection } => commands::limit::run(command, &connection, output).await,
        Command::Audit(audit) => commands::audit::run(&audit, output).await,
        Command::Recover(recover) => commands::recover::run(recover, output).await,
        Command::Migrate(migrate) => commands::migrate::run(migrate, output).await,
        Command::Account { command, connection } => commands::account::run(command, &connection, output).await,
        Command::Watch(watch) => commands::watch::run(watch, output).await,
        Command::Model { command, connection } => commands::model::run(command, &connection, output).await,
        Command::Secret { command, connection } => commands::secret::run(command, &connection, output).await,
        Command::Service { command, connection } => commands::service::run(command, &connection, output).await,
        Command::Key { command, connection } => commands::key::run(command, &connection, output).await,
        Command::Alert { command, connection } => commands::webhook::alerts(command, &connection, output).await,
        Command::Console { args, connection } => commands::session::console(args, &connection, output).await,
        Command::Session { command, connection } => commands::session::run(command, &connection, output).await,
        Command::Webhook { command, connection } => commands::webhook::run(command, &connection, output).await,
        Command::Worker(worker) => commands::worker::run(worker).await,
        Command::EmulatedServer(server) => commands::emulated_server::run(server).await,
        Command::StandInEngine(engine) => commands::stand_in_engine::run(engine).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "inventiv", &mut script);
            output::print(String::from_utf8_lossy(&script).trim_end());
            Ok(())
        }
        Command::Man => {
            let mut page = Vec::new();
            let written = clap_mangen::Man::new(Cli::command()).render(&mut page);
            written.map_err(|e| Failure::general(format!("cannot write the manual page: {e}")))?;
            output::print(String::from_utf8_lossy(&page).trim_end());
            Ok(())
        }
        Command::Explain { id, connection, account } => {
            commands::explain::run(&id, &connection, account.name(), output).await
        }
    }
}
