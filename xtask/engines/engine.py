"""Serves a GGUF file with llama.cpp's own OpenAI-compatible server, on the CPU, until it or its parent is ended.

Usage: engine.py --port PORT --model FILE [--alias NAME] [--host 127.0.0.1] [--ctx-size TOKENS]

The server is the C++ one of the package `xllamacpp`. It listens on 127.0.0.1 only, answers 503 while it loads the
model, and takes the chat template from the file, unless another one is named. The options have the names of llama.cpp's own
program.
"""

import argparse
import os
import time

import xllamacpp as xlc

# Requests that are answered at the same time: a probe must not wait for a long answer to somebody else.
SLOTS = 2


def params(args: argparse.Namespace) -> xlc.CommonParams:
    params = xlc.CommonParams()
    params.model.path = args.model
    params.model_alias = {args.alias} if args.alias else set()
    params.hostnames = [args.host]
    params.port = args.port
    params.n_ctx = args.ctx_size * SLOTS
    params.n_parallel = SLOTS
    params.endpoint_metrics = True
    params.ui = False
    params.warmup = not args.no_warmup
    if args.chat_template:
        params.chat_template = args.chat_template
    # There is no GPU to fit the model into.
    params.fit_params = False
    # Threads wait for each other in busy loops: on a machine with other work, two are 100 times slower than one.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    return params


def main() -> None:
    parent = os.getppid()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", required=True, help="a GGUF file")
    parser.add_argument("--alias", help="the name of the model in responses")
    parser.add_argument("--host", choices=["127.0.0.1"], default="127.0.0.1")
    parser.add_argument("--ctx-size", type=int, default=2048, help="tokens that one request may use")
    parser.add_argument("--chat-template", help="the name of a template that llama.cpp knows")
    parser.add_argument("--no-warmup", action="store_true", help="do not run the model once before it serves")
    server = xlc.Server(params(parser.parse_args()))
    print(f"listening on {server.listening_address}", flush=True)
    # A worker that is killed cannot end its engine.
    while os.getppid() == parent:
        time.sleep(0.5)


if __name__ == "__main__":
    main()
