//! How an engine is to be run, from a request.

use crate::App;
use crate::problem::{ApiError, wrong_field};
use inventiv_core::engine::{Engine, EngineKind, Serving};
use inventiv_core::text::is_hidden;
use inventiv_types::{CreateInstance, EngineRequest, FieldError, is_secret_name};

/// The maximum number of arguments, and of environment variables.
const ITEMS_MAX: usize = 100;
/// The maximum length of all arguments and of all environment variables, in bytes.
const BYTES_MAX: usize = 16_384;
/// The variable with the token for the hub, and the secret that it is set to if there is one.
const HUB_TOKEN: (&str, &str) = ("HF_TOKEN", "hf-token");

/// The mistakes in the settings of an engine that can be found without the database.
pub(crate) fn mistakes(request: &CreateInstance) -> Vec<FieldError> {
    let Some(engine) = &request.engine else { return Vec::new() };
    let mut wrong = Vec::new();
    let mut refuse = |field: &str, bad: bool, text: &str| {
        if bad {
            wrong.push(wrong_field(&format!("engine.{field}"), text));
        }
    };
    let kind = request.model_id.as_deref().map(|m| Engine::choose(m, engine.kind, None).kind);
    let command = engine.command.as_deref().unwrap_or_default();
    let args = engine.args.as_deref().unwrap_or_default();
    let image = engine.image.as_deref();
    let is_command = kind == Some(EngineKind::Command);
    let program = command.first().is_some_and(|p| !p.is_empty());
    refuse("command", is_command && !program, "is required for the kind `command`: the program and its arguments");
    refuse("command", !is_command && !command.is_empty(), "is only for the kind `command`");
    refuse("image", is_command && image.is_some(), "is not for the kind `command`, which runs without a container");
    let good_image = |i: &str| {
        (1..=300).contains(&i.len()) && i.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:@".contains(&b))
    };
    let text = "must look like `vllm/vllm-openai:v0.11.0`";
    refuse("image", image.is_some_and(|i| !good_image(i) || i.starts_with('-')), text);
    let text =
        format!("must be at most {ITEMS_MAX} arguments of together {BYTES_MAX} bytes, without control characters");
    let bad_list = |list: &[String]| {
        list.len() > ITEMS_MAX
            || list.iter().map(String::len).sum::<usize>() > BYTES_MAX
            || list.iter().any(|a| a.chars().any(is_hidden))
    };
    refuse("args", bad_list(args), &text);
    refuse("command", bad_list(command), &text);
    let env: Vec<(&String, &String)> = engine.env.iter().flatten().collect();
    let text = format!(
        "must be at most {ITEMS_MAX} variables such as `NAME`, of together {BYTES_MAX} bytes, without control characters"
    );
    let bad_env = env.len() > ITEMS_MAX
        || env.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>() > BYTES_MAX
        || env.iter().any(|(k, v)| !is_variable(k) || v.chars().any(is_hidden));
    refuse("env", bad_env, &text);
    let secrets: Vec<(&String, &String)> = engine.secrets.iter().flatten().collect();
    let bad = secrets.len() > ITEMS_MAX || secrets.iter().any(|(k, v)| !is_variable(k) || !is_secret_name(v));
    refuse("secrets", bad, "must be variables with names of secrets, as in `{\"HF_TOKEN\": \"hf-token\"}`");
    let both = secrets.iter().any(|(k, _)| env.iter().any(|(e, _)| e == k));
    refuse("secrets", both, "a variable cannot be in `env` and in `secrets`");
    wrong
}

fn is_variable(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && name.len() <= 100 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// How the engine is run; `None`: nothing of ours serves the model. Every secret must exist.
pub(crate) async fn serving(
    app: &App,
    request: &CreateInstance,
    engine: Option<Engine>,
) -> Result<Option<Serving>, ApiError> {
    if engine.is_none_or(|e| e.kind == EngineKind::None) {
        return Ok(None);
    }
    let EngineRequest { image, args, command, env, secrets, keep_failed, .. } =
        request.engine.clone().unwrap_or_default();
    let mut secrets = secrets.unwrap_or_default();
    for name in secrets.values() {
        if app.store().secret(name).await?.is_none() {
            let text = format!("there is no secret `{name}`; store it first: inventiv secret set {name}");
            return Err(ApiError::field("engine.secrets", text));
        }
    }
    let env = env.unwrap_or_default();
    let (variable, name) = HUB_TOKEN;
    let given = secrets.contains_key(variable) || env.contains_key(variable);
    if !given && app.store().secret(name).await?.is_some() {
        secrets.insert(variable.to_owned(), name.to_owned());
    }
    Ok(Some(Serving {
        image,
        args: args.unwrap_or_default(),
        command: command.unwrap_or_default(),
        env,
        secrets,
        keep_failed: keep_failed.unwrap_or(false),
    }))
}
