//! `cargo xtask vm`: the product's user data, bootstrap, worker and data volume in a real virtual machine.
//!
//! [`machine`] starts QEMU, [`life`] is an instance with the calls to its worker, [`steps`] is what is proven, [`container`]
//! is the part with a real engine. What every run needs, an image of Debian and the worker's program, `xtask` makes before.

mod container;
mod life;
mod machine;
mod steps;

use std::process::ExitCode;
use std::time::Instant;
use steps::{Places, Trial};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "vm_trial IMAGE PROGRAM RUN [REGISTRY PYTHON HUB MODEL [--only-engine]]: the folder with base.img, vmlinuz and \
                     initrd.img; the worker's program; an empty folder for the disks of this run; for a real engine, the \
                     settings of a registry, a Python interpreter, the stand-in for the hub, and a model's file";

/// The exit code if the model of a real engine does not answer in time: the emulated processor may be too slow for it.
const TOO_SLOW: u8 = 75;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (own, engine) = args.split_at(args.len().min(3));
    let only_engine = engine.last().is_some_and(|a| a == "--only-engine");
    let engine = engine.strip_suffix(&["--only-engine".to_owned()]).unwrap_or(engine);
    let ([image, program, run], [] | [_, _, _, _]) = (own, engine) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    // QEMU runs in a folder of its own.
    let whole = |path: &String| std::path::absolute(path).unwrap_or_else(|_| path.into());
    let engine = match engine {
        [registry, python, hub, model] => {
            // The path of an interpreter says which environment it is of, so links are not followed.
            Some(container::Places { registry: whole(registry), hub: [whole(python), whole(hub), whole(model)] })
        }
        _ => None,
    };
    let places = Places { image: whole(image), program: whole(program), run: whole(run) };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("{e}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(until_stopped(trial(places, engine, only_engine))) {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

/// A signal to stop ends the machine, too.
async fn until_stopped(trial: impl Future<Output = Result<u8, String>>) -> Result<u8, String> {
    let mut asked = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
    tokio::select! {
        done = trial => done,
        _ = asked.recv() => Err("the trial was stopped".to_owned()),
        _ = tokio::signal::ctrl_c() => Err("the trial was stopped".to_owned()),
    }
}

/// Without a real engine, its life is left out. Returns the exit code.
async fn trial(places: Places, engine: Option<container::Places>, only_engine: bool) -> Result<u8, String> {
    let began = Instant::now();
    let mut trial = Trial::new(places)?;
    let lives = async {
        if !only_engine {
            trial.run().await?;
        }
        match &engine {
            Some(engine) => match trial.third_life(engine).await {
                Err(e) if e.starts_with(life::TOO_SLOW) => {
                    let console = trial.machine.as_ref().map(machine::Machine::console).unwrap_or_default();
                    println!(
                        "inconclusive: this host may be too slow for a real engine: {e}\nthe machine's console:\n{console}"
                    );
                    Ok(TOO_SLOW)
                }
                done => done.map(|()| 0),
            },
            None => Ok(0),
        }
    };
    let code = lives.await.map_err(|e| {
        let console = trial.machine.as_ref().map(machine::Machine::console).unwrap_or_default();
        format!("the trial failed after {:.0} s: {e}\nthe machine's console:\n{console}", began.elapsed().as_secs_f32())
    })?;
    if code == 0 {
        println!("a real virtual machine: everything holds ({:.0} s)", began.elapsed().as_secs_f32());
    }
    Ok(code)
}
