"""LiteLLM as a client of the gateway: answers, streams, errors.

Usage: through_litellm.py INVENTIV URL. The executable's environment names the control plane, which has the service `qwen`,
with one replica.
"""

import os
import subprocess
import sys

# Its table of prices is read from the package, not from the network.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm

MODEL = "openai/qwen"
QUESTION = [{"role": "user", "content": "Name three colours."}]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]


def key(*options: str) -> str:
    run = subprocess.run([sys.argv[1], "key", "create", "litellm", "-o", "name", *options], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def main() -> None:
    litellm.suppress_debug_info = True
    place = {"api_base": f"{sys.argv[2].rstrip('/')}/v1", "api_key": key(), "timeout": 30, "max_retries": 0}

    def chat(**more: object):
        return litellm.completion(**{"model": MODEL, "messages": QUESTION, **place, **more})

    for more in [{}, {"tools": TOOLS, "response_format": {"type": "json_object"}}]:
        done = chat(**more)
        assert done.choices[0].message.content and done.usage.total_tokens > 3, done
    assert litellm.embedding(model=MODEL, input=["three colours"], **place).data[0]["embedding"]
    for more, usages in [({}, 0), ({"stream_options": {"include_usage": True}}, 1)]:
        chunks = list(chat(stream=True, **more))
        texts = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
        assert len(texts) > 3 and sum(getattr(c, "usage", None) is not None for c in chunks) == usages, chunks
    for expected, more in [
        (litellm.AuthenticationError, {"api_key": "sk-wrong"}),
        (litellm.NotFoundError, {"model": "openai/nobody"}),
    ]:
        try:
            answer = chat(**more)
        except expected:
            continue
        raise AssertionError(f"no {expected.__name__} was raised: {answer}")
    limited = key("--requests-per-minute", "1")
    for _ in range(4):
        # The first request of the next minute would be accepted.
        try:
            chat(api_key=limited)
        except litellm.RateLimitError:
            break
    else:
        raise AssertionError("four requests were accepted of one per minute")
    print("LiteLLM as a client: answers, streams and errors")


main()
