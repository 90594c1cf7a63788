//! `inventiv stand-in-engine`: behaves like an engine with an OpenAI-compatible API, without a model.
//!
//! It is for demonstrations and tests, and says so in each answer.

use crate::args::{Misbehaviour, StandInEngine};
use crate::failure::Failure;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use futures::StreamExt;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

struct StandIn {
    model: String,
    ready_at: Instant,
    fault: Option<Misbehaviour>,
    answered: AtomicU32,
    /// How long each word takes.
    token: Duration,
    /// The tokens of prompts, and of answers, as they were made.
    tokens: [AtomicU64; 2],
}

pub(crate) async fn run(args: StandInEngine) -> Result<(), Failure> {
    println!("a stand-in for {}: no model is loaded", args.model);
    if args.fault == Some(Misbehaviour::OutOfMemory) {
        eprintln!("torch.OutOfMemoryError: CUDA out of memory. (a stand-in says so)");
        std::process::exit(1);
    }
    tokio::spawn(end_with(std::os::unix::process::parent_id()));
    let state = StandIn {
        model: args.model,
        ready_at: Instant::now() + Duration::from_millis(args.load_ms),
        fault: args.fault,
        answered: AtomicU32::new(0),
        token: Duration::from_millis(args.token_ms),
        tokens: Default::default(),
    };
    let app = Router::new()
        .route("/health", get(|| async { StatusCode::OK }))
        .route("/v1/models", get(models))
        .route("/v1/chat/completions", post(chat))
        .route("/v1/embeddings", post(embeddings))
        .route("/metrics", get(metrics))
        .route("/pause", post(|| async { "paused: this path must never be reachable from outside" }))
        // As servers of real engines do: the length of a request is not limited here.
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::new(state));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await;
    let listener = listener.map_err(|e| Failure::general(format!("cannot listen on port {}: {e}", args.port)))?;
    // As servers of real engines do: small parts of a stream are sent without delay.
    let listener = listener.tap_io(|tcp| drop(tcp.set_nodelay(true)));
    axum::serve(listener, app).await.map_err(|e| Failure::general(e.to_string()))
}

/// Ends this process when its worker is gone: nobody else ends the engine of an emulated server that was killed.
async fn end_with(worker: u32) {
    while std::os::unix::process::parent_id() == worker {
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    std::process::exit(0);
}

async fn models(State(engine): State<Arc<StandIn>>) -> Json<Value> {
    Json(json!({"object": "list", "data": [{"id": engine.model, "object": "model", "owned_by": "stand-in"}]}))
}

async fn metrics(State(engine): State<Arc<StandIn>>) -> String {
    let [prompt, generation] = &engine.tokens;
    format!(
        "vllm:request_success_total {}\nvllm:num_requests_running 0\nvllm:prompt_tokens_total {}\n\
         vllm:generation_tokens_total {}\n",
        engine.answered.load(Ordering::SeqCst),
        prompt.load(Ordering::SeqCst),
        generation.load(Ordering::SeqCst)
    )
}

impl StandIn {
    /// Refuses while it loads, or misbehaves.
    async fn begin(&self) -> Result<(), Response> {
        if Instant::now() < self.ready_at || self.fault == Some(Misbehaviour::NeverReady) {
            let error = json!({"error": {"message": "the model is being loaded", "type": "unavailable"}});
            return Err((StatusCode::SERVICE_UNAVAILABLE, Json(error)).into_response());
        }
        let before = self.answered.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Some(Misbehaviour::Crash) if before >= 2 => {
                eprintln!("a stand-in ends in the middle of an answer");
                std::process::exit(3);
            }
            Some(Misbehaviour::Hang) if before >= 2 => std::future::pending().await,
            _ => Ok(()),
        }
    }

    fn words(&self, asked: &str) -> String {
        format!("I am a stand-in for {}: no model is loaded. You asked: {asked}", self.model)
    }
}

async fn chat(State(engine): State<Arc<StandIn>>, Json(request): Json<Value>) -> Response {
    if let Err(refusal) = engine.begin().await {
        return refusal;
    }
    let Some(messages) = request.get("messages").and_then(Value::as_array) else {
        let error = json!({"error": {"message": "`messages` is required", "type": "invalid_request_error"}});
        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
    };
    let asked = messages.last().and_then(|m| m.get("content")).and_then(Value::as_str).unwrap_or_default();
    let max = request.get("max_tokens").and_then(Value::as_u64).unwrap_or(u64::MAX);
    let answer = engine.words(asked);
    let words: Vec<String> =
        answer.split_inclusive(' ').take(usize::try_from(max).unwrap_or(usize::MAX)).map(str::to_owned).collect();
    let prompt = asked.split_whitespace().count();
    let usage =
        json!({"prompt_tokens": prompt, "completion_tokens": words.len(), "total_tokens": prompt + words.len()});
    engine.tokens[0].fetch_add(prompt as u64, Ordering::SeqCst);
    if request.get("stream").and_then(Value::as_bool) != Some(true) {
        // Even a sleep of zero takes up to a millisecond.
        let takes = engine.token * u32::try_from(words.len()).unwrap_or(0);
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        engine.tokens[1].fetch_add(words.len() as u64, Ordering::SeqCst);
        let message = json!({"role": "assistant", "content": words.concat()});
        let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
        return Json(json!({
            "id": "stand-in", "object": "chat.completion", "created": 0, "model": engine.model, "choices": [choice],
            "usage": usage,
        }))
        .into_response();
    }
    let with_usage = request.pointer("/stream_options/include_usage").and_then(Value::as_bool) == Some(true);
    let model = engine.model.clone();
    let chunk = move |choices: Value, usage: Value| {
        let text = json!({
            "id": "stand-in", "object": "chat.completion.chunk", "created": 0, "model": model, "choices": choices,
            "usage": usage,
        });
        Ok::<_, Infallible>(Event::default().data(text.to_string()))
    };
    let delta =
        |text: &String| json!([{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": null}]);
    let parts: Vec<_> = words.iter().map(|w| chunk(delta(w), Value::Null)).collect();
    let made = engine.clone();
    let parts = futures::stream::iter(parts).then(move |part| {
        let engine = made.clone();
        async move {
            if !engine.token.is_zero() {
                tokio::time::sleep(engine.token).await;
            }
            engine.tokens[1].fetch_add(1, Ordering::SeqCst);
            part
        }
    });
    let mut last = vec![chunk(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]), Value::Null)];
    if with_usage {
        last.push(chunk(json!([]), usage));
    }
    last.push(Ok(Event::default().data("[DONE]")));
    Sse::new(parts.chain(futures::stream::iter(last))).into_response()
}

async fn embeddings(State(engine): State<Arc<StandIn>>) -> Response {
    if let Err(refusal) = engine.begin().await {
        return refusal;
    }
    let data = json!([{"object": "embedding", "index": 0, "embedding": [0.0, 1.0]}]);
    let usage = json!({"prompt_tokens": 1, "total_tokens": 1});
    Json(json!({"object": "list", "model": engine.model, "data": data, "usage": usage})).into_response()
}
