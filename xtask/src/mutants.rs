//! Mutation tests of the rules that protect money: each mutant must make its trial fail, or the trial proves nothing.
//!
//! `cargo mutants` breaks the rules of `core` in every way that it knows, and runs the tests of `core`
//! (`.cargo/mutants.toml` names the files). It cannot express the mutants in [`MUTANTS`], or their trial is in another
//! crate. For these, the sources are copied to a separate folder with separate build output, so that no build uses a
//! broken library by mistake.

use crate::programs::{PROFILE, cargo_command};
use crate::root;
use crate::tests::Sum;
use std::path::Path;
use std::process::Command;

/// What detects a mutant.
#[derive(PartialEq, Eq)]
enum Trial {
    /// Simulation runs with faults and crashes.
    Simulation,
    /// The tests of a package whose names contain a text.
    Tests(&'static str, &'static str),
}

/// One mutant.
struct Mutant {
    /// The broken rule, described by its effect.
    what: &'static str,
    file: &'static str,
    find: &'static str,
    replace: &'static str,
    trial: Trial,
}

const STORIES: &str = "80";

const MUTANTS: [Mutant; 21] = [
    Mutant {
        what: "a block volume counts as gone although nothing proves that the credentials can see block storage",
        file: "crates/providers/src/clouds/scaleway/sight.rs",
        find: "            None if seen_before => return Ok(found),\n",
        replace: "            None if seen_before => return Ok(found),\n            Some(_) if side == Side::Block => return Ok(found),\n",
        trial: Trial::Tests("inventiv-testkit", "a_key_that_loses_the_project"),
    },
    Mutant {
        what: "a not-found needs no earlier proof that the project is visible",
        file: "crates/providers/src/clouds/scaleway/sight.rs",
        find: "            None if seen_before => return Ok(found),\n",
        replace: "            None if seen_before || !id.is_empty() => return Ok(found),\n",
        trial: Trial::Tests("inventiv-testkit", "a_key_that_gets_the_project_back"),
    },
    Mutant {
        what: "an audit reports block volumes as missing that the credentials may not see",
        file: "crates/core/src/audit.rs",
        find: "inventory.blocks_hidden.as_ref().filter(|_| index.expects_blocks())",
        replace: "inventory.blocks_hidden.as_ref().filter(|_| inventory.began_at.0 < 0)",
        trial: Trial::Tests("inventiv-testkit", "what_is_recorded_and_not_shown"),
    },
    Mutant {
        what: "no grace period: a creation is retried before a listing can show its resource",
        file: "crates/core/src/plan/attempt.rs",
        find: "        _ => rules.create_grace_ms.max(rules.stale_ms),\n",
        replace: "        _ => 0,\n",
        trial: Trial::Tests("inventiv-testkit", "a_creation_that_never_arrived"),
    },
    Mutant {
        what: "any error when reading a resource counts as not found",
        file: "crates/providers/src/clouds/scaleway/server.rs",
        find: "    if error.kind != ErrorKind::NotFound {\n        return Err(error);\n    }\n    let ours = error.resource.as_ref().is_some_and(|(kind, named)| kind == resource && named == id);\n    if !ours {\n",
        replace: "    if error.kind == ErrorKind::Unsupported {\n",
        trial: Trial::Tests("inventiv-providers", "scaleway"),
    },
    Mutant {
        what: "resources to be kept are deleted with the rest",
        file: "crates/core/src/recorded/volume.rs",
        find: "        self.delete_on_terminate && self.origin != Origin::Foreign\n",
        replace: "        self.origin != Origin::Foreign\n",
        trial: Trial::Simulation,
    },
    Mutant {
        what: "every volume attached to our server counts as ours",
        file: "crates/core/src/plan/record_observation.rs",
        find: "        } else if draft.cx.profile.came_with(server, attachment, name) || (adopting && attachment.index == 0) {\n",
        replace: "        } else if !server.id.is_empty() {\n",
        trial: Trial::Simulation,
    },
    Mutant {
        what: "a duplicate server is not deleted",
        file: "crates/core/src/plan/record_observation.rs",
        find: "        is_primary: false,\n        create_state: CreateState::Created,\n",
        replace: "        is_primary: true,\n        create_state: CreateState::Created,\n",
        trial: Trial::Tests("inventiv-core", "plan"),
    },
    Mutant {
        what: "the volumes of a new server are not recorded with it",
        file: "crates/core/src/plan/record_observation.rs",
        find: "    record_attachments(draft);\n    abandon",
        replace: "    let _ = record_attachments;\n    abandon",
        trial: Trial::Simulation,
    },
    Mutant {
        what: "no fencing: the version is not compared when an instance is written",
        file: "crates/store/src/args.rs",
        find: "        Statement { expect_rows: Some(1), ..self.statement(sql) }\n",
        replace: "        Statement { expect_rows: None, ..self.statement(sql) }\n",
        trial: Trial::Tests("inventiv-testkit", "stale"),
    },
    Mutant {
        what: "the names of abandoned attempts are no longer watched",
        file: "crates/store/src/aggregates.rs",
        find: "\" UNION SELECT zone FROM instance_servers WHERE account_id = $1 AND create_state = 'abandoned' \\\n",
        replace: "\" UNION SELECT zone FROM instance_servers WHERE account_id = $1 AND create_state = 'nothing' \\\n",
        trial: Trial::Tests("inventiv-testkit", "a_late_arrival_of_a_burned_attempt"),
    },
    Mutant {
        what: "a creation's intent is not written before the call",
        file: "crates/core/src/progress.rs",
        find: "        Action::Create(Creation::Server(row)) => agg.servers.push((**row).clone()),\n",
        replace: "        Action::Create(Creation::Server(row)) => drop((**row).clone()),\n",
        trial: Trial::Tests("inventiv-core", "plan"),
    },
    Mutant {
        what: "the number of orphans deleted at once is unlimited",
        file: "crates/core/src/sweep.rs",
        find: "    if due.len() > limits.max.min(share) {\n",
        replace: "    if due.len() > limits.max.max(share) * 100 {\n",
        trial: Trial::Tests("inventiv-core", "sweep"),
    },
    Mutant {
        what: "records that are older than the cloud do not stop deletions",
        file: "crates/core/src/sweep.rs",
        find: "    if report.records_look_rolled_back {\n",
        replace: "    if report.began_at.0 < 0 {\n",
        trial: Trial::Tests("inventiv-testkit", "a_restored_backup_kills_nothing"),
    },
    Mutant {
        what: "a resource recovered without a server is deleted by its name alone",
        file: "crates/core/src/recover.rs",
        find: "        if server.is_none() {\n",
        replace: "        if server.is_none() && v.size_bytes.is_none() {\n",
        trial: Trial::Tests("inventiv-core", "recover"),
    },
    Mutant {
        what: "a name that a third party removed is not restored",
        file: "crates/core/src/plan/drift.rs",
        find: "    if found.is_some() {\n",
        replace: "    if found.is_none() && *tags_shown && tagged_at.is_none() {\n",
        trial: Trial::Tests("inventiv-testkit", "names_and_tags"),
    },
    Mutant {
        what: "a kept volume is no longer observed once its instance has ended",
        file: "crates/store/src/aggregates.rs",
        find: "    UNION SELECT zone FROM instance_volumes WHERE account_id = $1 AND status = 'retained' \\\n",
        replace: "    \\\n",
        trial: Trial::Tests("inventiv-testkit", "a_volume_that_is_kept_stays_ours"),
    },
    Mutant {
        what: "a list that is empty because the credentials cannot see the project counts as proof",
        file: "crates/orchestrator/src/observe.rs",
        find: "let listed = complete && hidden.is_none();",
        replace: "let listed = complete;",
        trial: Trial::Tests("inventiv-testkit", "a_key_that_no_longer_sees_the_project"),
    },
    Mutant {
        what: "a change of only a volume is not streamed",
        file: "crates/store/src/changes.rs",
        find: " || before.volumes != after.volumes\n",
        replace: "\n",
        trial: Trial::Tests("inventiv-testkit", "it_begins_with_what_lives"),
    },
    Mutant {
        what: "changes get sequence numbers that readers have already passed",
        file: "crates/store/src/db.rs",
        find: "UPDATE changes SET last = last + 1\"",
        replace: "UPDATE changes SET last = last\"",
        trial: Trial::Tests("inventiv-testkit", "whatever_commits_late"),
    },
    Mutant {
        what: "a not-found from credentials that cannot see the project counts as proof",
        file: "crates/providers/src/clouds/scaleway/sight.rs",
        find: "            None if seen_before => return Ok(found),\n",
        replace: "            None if seen_before => return Ok(found),\n            Some(_) if !zone.is_empty() => return Ok(found),\n",
        trial: Trial::Tests("inventiv-providers", "only_a_typed_not_found"),
    },
];

/// Runs `cargo mutants` on `core`, or applies each of our own mutants to a copy and runs its trial there: without a
/// word, both; with `core`, the first; with any other word, only our own mutants whose description contains it.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    match args.first().map(String::as_str) {
        None => of_core(&[]).and_then(|()| ours("")),
        Some("core") => of_core(&args[1..]),
        Some(word) => ours(word),
    }
}

/// The mutants that `cargo mutants` makes of `core`. `more`: further arguments, for instance `--in-diff FILE`.
fn of_core(more: &[String]) -> Result<(), String> {
    let mut command = cargo_command();
    command.args(["mutants", "--package", "inventiv-core", "--output", "target", "--colors", "never"]);
    command.args(more).args(["--", "--lib"]).current_dir(root());
    match command.status() {
        // 3: none was missed, and some made a test loop.
        Ok(status) if matches!(status.code(), Some(0 | 3)) => Ok(()),
        Ok(status) if status.code() == Some(101) => {
            Err("cargo mutants is not installed: run `cargo install cargo-mutants --locked`".to_owned())
        }
        Ok(status) => Err(format!("cargo mutants: {status}; target/mutants.out/missed.txt lists what no test detects")),
        Err(e) => Err(format!("cargo mutants: {e}")),
    }
}

fn ours(word: &str) -> Result<(), String> {
    let chosen: Vec<&Mutant> = MUTANTS.iter().filter(|m| m.what.contains(word)).collect();
    let copy = root().join("target/mutants");
    let mut survivors = Vec::new();
    // A trial that fails without a mutant would appear to detect every mutant.
    let mut controlled: Vec<&Trial> = Vec::new();
    for mutant in &chosen {
        if controlled.contains(&&mutant.trial) {
            continue;
        }
        copy_files(&copy)?;
        match played(&copy, &mutant.trial)? {
            Played::Green => controlled.push(&mutant.trial),
            Played::Red => return Err(format!("the trial of `{}` fails without the mutant", mutant.what)),
            Played::Nothing => return Err(format!("the trial of `{}` runs no test: correct its name", mutant.what)),
        }
    }
    for mutant in &chosen {
        copy_files(&copy)?;
        let file = copy.join(mutant.file);
        let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", mutant.file))?;
        if text.matches(mutant.find).count() != 1 {
            return Err(format!(
                "{}: `{}` does not occur exactly once: correct the list of mutants",
                mutant.file, mutant.find
            ));
        }
        std::fs::write(&file, text.replace(mutant.find, mutant.replace))
            .map_err(|e| format!("{}: {e}", mutant.file))?;
        let red = played(&copy, &mutant.trial).map_err(|e| format!("{}: {e}", mutant.what))? == Played::Red;
        println!("{}  {}", if red { "detected " } else { "SURVIVED " }, mutant.what);
        if !red {
            survivors.push(mutant.what);
        }
    }
    println!("{} mutants, {} survived", chosen.len(), survivors.len());
    if survivors.is_empty() { Ok(()) } else { Err(format!("not detected: {}", survivors.join("; "))) }
}

/// The result of a trial.
#[derive(PartialEq, Eq)]
enum Played {
    Green,
    Red,
    /// No test matched the name.
    Nothing,
}

/// Only a trial that ran and failed is red: a mutant that does not compile proves nothing.
fn played(copy: &Path, trial: &Trial) -> Result<Played, String> {
    let cargo = |args: &[&str]| {
        let mut command = cargo_command();
        command
            .args(args)
            .current_dir(copy)
            .env("CARGO_TARGET_DIR", copy.join("target"))
            .env_remove("TEST_DATABASE_URL");
        command.output().map_err(|e| format!("cargo {args:?}: {e}"))
    };
    let of =
        |task: &'static str, package: &'static str| vec![task, "--profile", PROFILE, "--quiet", "--package", package];
    let with = |mut args: Vec<&'static str>, more: &[&'static str]| {
        args.extend(more);
        args
    };
    let (build, run) = match *trial {
        Trial::Simulation => {
            let program = ["--bin", "simulate"];
            let run = with(of("run", "inventiv-testkit"), &program);
            (with(of("build", "inventiv-testkit"), &program), with(run, &["--", "--seeds", STORIES]))
        }
        Trial::Tests(package, name) => (with(of("test", package), &["--no-run"]), with(of("test", package), &[name])),
    };
    let built = cargo(&build)?;
    if !built.status.success() {
        return Err(format!("the mutant does not compile:\n{}", String::from_utf8_lossy(&built.stderr)));
    }
    let done = cargo(&run)?;
    let mut sum = Sum::default();
    String::from_utf8_lossy(&done.stdout).lines().for_each(|line| sum.add(line));
    Ok(match (done.status.success(), trial) {
        (false, _) => Played::Red,
        (true, Trial::Tests(..)) if sum.passed == 0 => Played::Nothing,
        (true, Trial::Tests(..) | Trial::Simulation) => Played::Green,
    })
}

/// Copies the working tree, including uncommitted files; the build output of earlier copies stays.
fn copy_files(copy: &Path) -> Result<(), String> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root());
    let listed = git.output().map_err(|e| format!("git ls-files: {e}"))?;
    for name in String::from_utf8_lossy(&listed.stdout).lines() {
        let (from, to) = (root().join(name), copy.join(name));
        if !from.is_file() {
            continue;
        }
        let text = std::fs::read(&from).map_err(|e| format!("{name}: {e}"))?;
        if std::fs::read(&to).is_ok_and(|there| there == text) {
            continue;
        }
        let folder = to.parent().map_or_else(|| copy.to_path_buf(), Path::to_path_buf);
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        std::fs::write(&to, text).map_err(|e| format!("{name}: {e}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
