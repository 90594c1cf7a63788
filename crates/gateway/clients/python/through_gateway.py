"""The official OpenAI client through the gateway: answers, streams, errors, limits, and what was counted of all that.

Usage: through_gateway.py INVENTIV URL. The executable's environment names the control plane, whose emulated cloud boots
servers.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable

import openai

MODEL, SERVICE = "Qwen/Qwen2.5-7B-Instruct", "qwen"
# A service whose model is being loaded all the time.
SLOW_MODEL, SLOW = "mistralai/Mistral-7B-Instruct-v0.3", "slow"
QUESTION = [{"role": "user", "content": "Name three colours."}]
# Its answer takes more than a minute.
LONG_QUESTION = [{"role": "user", "content": "again and " * 5000}]
DEADLINE_S = 120
# Requests that a replica answered, and those of them that it answered with an error.
answered, refused = 0, 0


def inventiv(*args: str) -> str:
    run = subprocess.run([sys.argv[1], *args], capture_output=True, text=True, timeout=DEADLINE_S)
    assert run.returncode == 0, f"`inventiv {' '.join(args)}` ended with {run.returncode}:\n{run.stderr}"
    return run.stdout.strip()


def until(what: str, is_true: Callable[[], object], within_s: float = DEADLINE_S):
    began = time.monotonic()
    while not (found := is_true()):
        assert time.monotonic() - began < within_s, f"no {what} within {within_s} s"
        time.sleep(0.1)
    return found


def client(url: str, key: str, kind=openai.OpenAI):
    return kind(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=30)


def raises(expected: type[openai.APIError], code: str | None, ask: Callable[[], object]):
    """What `ask` raises: exactly this class, with this code."""
    try:
        ask()
    except openai.APIError as error:
        assert type(error) is expected and error.code == code, f"{error!r}, {error.code} instead of {expected}, {code}"
        return error
    raise AssertionError(f"no {expected.__name__} was raised")


def answers(asks: openai.OpenAI) -> None:
    global answered
    more = {"tools": [{"type": "function", "function": {"name": "f"}}], "response_format": {"type": "json_object"}}
    for name, options in [(SERVICE, {}), (MODEL, {}), (SERVICE, more)]:
        done = asks.chat.completions.create(model=name, messages=QUESTION, **options)
        assert done.choices[0].message.content and done.usage.total_tokens > 3, done
    assert asks.embeddings.create(model=SERVICE, input="three colours").data[0].embedding
    assert {m.id for m in asks.models.list()} >= {SERVICE, MODEL}
    assert asks.models.retrieve(MODEL).id == MODEL
    raw = asks.chat.completions.with_raw_response.create(
        model=SERVICE, messages=QUESTION, extra_headers={"x-request-id": "mine"}
    )
    assert raw.headers["x-request-id"] == "mine", raw.headers
    answered += 5


def streams(asks: openai.OpenAI) -> None:
    """A stream tells its usage only to a client that asked for it."""
    global answered
    for options, usages in [({}, 0), ({"stream_options": {"include_usage": True}}, 1)]:
        chunks = list(asks.chat.completions.create(model=SERVICE, messages=QUESTION, stream=True, **options))
        texts = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
        assert len(texts) > 3 and sum(c.usage is not None for c in chunks) == usages, chunks
    answered += 2
    # The client leaves: the engine's answer is not awaited, and the replica is free again.
    with asks.chat.completions.create(model=SERVICE, messages=LONG_QUESTION, stream=True) as stream:
        next(iter(stream))
        until("busy replica", lambda: outstanding() == 1)
        began = time.monotonic()
    assert time.monotonic() - began < 2, "a stream that is left blocks its client"
    answered += 1
    until("free replica", lambda: outstanding() == 0, 20)


def outstanding() -> int:
    return json.loads(inventiv("service", "show", SERVICE, "-o", "json"))["load"]["outstanding"]


async def at_once(asks: openai.AsyncOpenAI) -> None:
    global answered

    async def one(n: int) -> int:
        create = asks.chat.completions.create
        if n % 2:
            return (await create(model=SERVICE, messages=QUESTION)).usage.completion_tokens
        return sum([1 async for c in await create(model=SERVICE, messages=QUESTION, stream=True) if c.choices])

    counts = await asyncio.gather(*(one(n) for n in range(20)))
    assert min(counts) > 3, counts
    answered += len(counts)


def errors(url: str, asks: openai.OpenAI) -> None:
    global answered, refused
    chat = asks.chat.completions.create
    raises(openai.AuthenticationError, "invalid_api_key", lambda: client(url, "sk-wrong").models.list())
    raises(openai.NotFoundError, "model_not_found", lambda: chat(model="nobody", messages=QUESTION))
    raises(openai.NotFoundError, "model_not_found", lambda: asks.models.retrieve("nobody"))
    raises(openai.BadRequestError, "invalid_request", lambda: chat(model=7, messages=QUESTION))
    # The engine refuses this one, and its words are passed on.
    error = raises(openai.BadRequestError, None, lambda: chat(model=SERVICE, messages="no list"))
    assert "messages" in error.message, error.message
    answered, refused = answered + 1, refused + 1
    error = raises(openai.InternalServerError, "no_replica_ready", lambda: chat(model=SLOW, messages=QUESTION))
    assert error.status_code == 503 and int(error.response.headers["retry-after"]) > 0, error.response.headers


def limits(url: str) -> None:
    global answered
    asks = client(url, inventiv("key", "create", "limited", "--requests-per-minute", "2", "-o", "name"))
    for _ in range(2):
        asks.chat.completions.create(model=SERVICE, messages=QUESTION)
    answered += 2
    ask = asks.chat.completions.create
    error = raises(openai.RateLimitError, "rate_limit_exceeded", lambda: ask(model=SERVICE, messages=QUESTION))
    assert 0 < int(error.response.headers["retry-after"]) <= 60, error.response.headers
    scoped = client(url, inventiv("key", "create", "scoped", "--scope", SLOW, "-o", "name"))
    assert SERVICE not in {m.id for m in scoped.models.list()}
    ask = scoped.chat.completions.create
    raises(openai.NotFoundError, "model_not_found", lambda: ask(model=SERVICE, messages=QUESTION))


def revoked(url: str) -> None:
    """A key is revoked while it reads a stream: the stream ends with an error."""
    global answered, refused
    asks = client(url, inventiv("key", "create", "short-lived", "-o", "name"))
    stream = asks.chat.completions.create(model=SERVICE, messages=LONG_QUESTION, stream=True)
    next(iter(stream))
    inventiv("key", "revoke", "short-lived")
    raises(openai.APIError, "invalid_api_key", lambda: list(stream))
    raises(openai.AuthenticationError, "invalid_api_key", asks.models.list)
    answered, refused = answered + 1, refused + 1


def usage() -> None:
    def counted() -> tuple[int, int]:
        rows = json.loads(inventiv("service", "usage", SERVICE, "-o", "json"))
        return sum(r["requests"] for r in rows), sum(r["errors"] for r in rows)

    until(f"usage of {answered} requests", lambda: counted()[0] >= answered)
    assert counted() == (answered, refused), f"counted {counted()}, asked {answered, refused}"


def main() -> None:
    url = sys.argv[2].rstrip("/")
    until("catalogue", lambda: "L40S-1-48G" in inventiv("offer", "list", "-o", "json"))
    engine = ("--yes", "--engine", "command", "--", sys.argv[1], "stand-in-engine", "--port", "{port}")
    engine += ("--model", "{model}", "--token-ms", "10")
    inventiv("service", "create", SLOW_MODEL, "--name", SLOW, "--no-wait", *engine, "--load-ms", "600000")
    inventiv("service", "create", MODEL, "--name", SERVICE, "--min", "1", *engine)
    key = inventiv("key", "create", "app", "-o", "name")
    asks = client(url, key)
    began = time.monotonic()
    answers(asks)
    streams(asks)
    asyncio.run(at_once(client(url, key, openai.AsyncOpenAI)))
    errors(url, asks)
    limits(url)
    revoked(url)
    usage()
    print(f"OpenAI client: {answered} requests through the gateway in {time.monotonic() - began:.1f} s, all counted")


main()
