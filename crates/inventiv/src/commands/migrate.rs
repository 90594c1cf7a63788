//! `inventiv migrate`: upgrades the schema of a database, and moves data from SQLite to PostgreSQL.

use crate::args::{Migrate, Output};
use crate::failure::Failure;
use crate::home;
use crate::output::{self, print};
use inventiv_orchestrator::Clock;
use inventiv_orchestrator::clock::SystemClock;
use inventiv_store::{Moved, Schema, Store};
use serde_json::json;

pub(crate) async fn run(args: Migrate, output: Output) -> Result<(), Failure> {
    let failed = |e: inventiv_store::Error| Failure::general(e.to_string());
    if let (Some(from), Some(to)) = (&args.from, &args.to) {
        return move_rows(from, to, output).await;
    }
    let database = home::database(args.database)?;
    if !args.check {
        Store::open(&database).await.map_err(failed)?;
    }
    let schema = Store::schema(&database).await.map_err(failed)?;
    match output.is_for_programs() {
        true => {
            let pending: Vec<_> = schema.pending.iter().map(|(n, name)| json!({"version": n, "name": name})).collect();
            output::value(output, &json!({"version": schema.version, "pending": pending}));
        }
        false => print(&text(&schema)),
    }
    if schema.pending.is_empty() {
        return Ok(());
    }
    Err(Failure::refused(
        "the schema is not up to date: `inventiv migrate` without --check, or the next start, upgrades it",
    ))
}

fn text(schema: &Schema) -> String {
    let mut text = format!("schema {}", schema.version);
    if schema.pending.is_empty() {
        text.push_str(", up to date");
    }
    for (n, name) in &schema.pending {
        text.push_str(&format!("\npending: {n} {name}"));
    }
    text
}

async fn move_rows(from: &str, to: &str, output: Output) -> Result<(), Failure> {
    if !from.starts_with("sqlite:") {
        return Err(Failure::refused("--from: must be a SQLite file, as sqlite:FILE"));
    }
    if !to.starts_with("postgres://") && !to.starts_with("postgresql://") {
        return Err(Failure::refused("--to: must be PostgreSQL, as postgres://USER@HOST/DATABASE"));
    }
    let mut tables = Vec::new();
    let mut reported = |moved: &Moved| {
        if !output.is_for_programs() {
            print(&format!("{:<24} {:>9} rows, identical on both sides", moved.table, moved.rows));
        }
        tables.push(json!({"table": moved.table, "rows": moved.rows}));
    };
    let done = Store::move_rows(from, to, SystemClock.now(), &mut reported).await;
    if let Err(inventiv_store::Error::Moved) = done {
        return Err(Failure::refused(
            "the file has already been moved: start `inventiv serve` with that PostgreSQL database",
        ));
    }
    done.map_err(|e| {
        Failure::general(format!("{e}; the file is unchanged. Fix the cause, then run the command again: it resumes"))
    })?;
    match output.is_for_programs() {
        true => output::value(output, &json!({"tables": tables})),
        false => print("all rows are moved. `inventiv serve` now refuses the file: start it with PostgreSQL"),
    }
    Ok(())
}
