"""A stand-in for the Hugging Face hub with one model, as far as a download needs it.

It answers `/api/models/{repo}/revision/{revision}?blobs=true` and `/{repo}/resolve/{commit}/{file}`. As on the hub,
the latter redirects to another host, which must not get the token. That host limits its speed, serves ranges, and
breaks the connection once in the middle of the file.

As a program, `hub.py WEIGHTS OTHER_HOST` prints its port, and runs until its input ends.
"""

import hashlib
import http.server
import json
import pathlib
import sys
import threading
import time
import urllib.parse

# The list of its files is public, its files need the token: like a model whose terms must be accepted.
MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct-GGUF"
# Nothing of this one is public.
PRIVATE = "acme/private-135M-GGUF"
TOKEN = "hf_standin"
COMMIT = hashlib.sha1(MODEL.encode()).hexdigest()
# A revision with characters that must be encoded in a path.
REVISIONS = ("main", "refs%2Fpr%2F1")
WEIGHTS = "SmolLM2-135M-Instruct-Q4_1.gguf"
# Other files of the repository, which nobody needs who asks for `:Q4_1`.
OTHERS = ("README.md", "SmolLM2-135M-Instruct-Q2_K.gguf", "SmolLM2-135M-Instruct-Q8_0.gguf")
BYTES_PER_SECOND = 10_000_000
CHUNK = 250_000


class Hub:
    """The stand-in, while it runs."""

    def __init__(self, weights: pathlib.Path, other_host: str = "localhost") -> None:
        """`other_host` is another name of this machine, as the client reaches it."""
        self.other_host = other_host
        self.weights = weights
        self.size = weights.stat().st_size
        self.lock = threading.Lock()
        # What was asked of the other host: file, first byte, bytes sent.
        self.transfers: list[list] = []
        self.faults: list[str] = []
        self.broke = False
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.hub = self
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def listing(self) -> dict:
        sizes = {WEIGHTS: self.size} | dict.fromkeys(OTHERS, self.size * 2)
        siblings = [{"rfilename": name, "size": size, "blobId": COMMIT} for name, size in sorted(sizes.items())]
        return {"id": MODEL, "sha": COMMIT, "gated": "auto", "siblings": siblings}

    def breaks_now(self) -> bool:
        """Whether this transfer is to break off; only the first one is."""
        with self.lock:
            first, self.broke = not self.broke, True
        return first


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_) -> None:
        pass

    def answer(self, status: int, value: dict, headers: dict | None = None) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        own = {"content-type": "application/json", "content-length": str(len(body))}
        for name, text in (own | (headers or {})).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        hub: Hub = self.server.hub
        path, _, query = self.path.partition("?")
        has_token = self.headers.get("authorization") == f"Bearer {TOKEN}"
        if path.startswith("/cdn/"):
            self.transfer(hub, path.removeprefix("/cdn/"))
        elif PRIVATE in path and not has_token:
            self.answer(401, {"error": "Invalid username or password."})
        elif path in {f"/api/models/{MODEL}/revision/{r}" for r in REVISIONS} and query == "blobs=true":
            self.answer(200, hub.listing())
        elif path == f"/{MODEL}/resolve/{COMMIT}/{WEIGHTS}":
            if not has_token:
                return self.answer(401, {"error": f"Access to model {MODEL} is restricted."})
            # By another name of this machine: another host for the client.
            self.answer(302, {}, {"location": f"http://{hub.other_host}:{hub.port}/cdn/{WEIGHTS}"})
        else:
            self.answer(404, {"error": "Repository not found"})

    def transfer(self, hub: Hub, name: str) -> None:
        if name != WEIGHTS:
            hub.faults.append(f"{urllib.parse.unquote(name)} was asked for, which nobody needs")
            return self.answer(404, {"error": "Entry not found"})
        if self.headers.get("authorization"):
            hub.faults.append("the other host got the token")
        asked = self.headers.get("range")
        begin = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if begin >= hub.size:
            return self.answer(416, {}, {"content-range": f"bytes */{hub.size}"})
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("content-range", f"bytes {begin}-{hub.size - 1}/{hub.size}")
        self.send_header("content-length", str(hub.size - begin))
        self.end_headers()
        entry = [name, begin, 0]
        hub.transfers.append(entry)
        end = hub.size // 2 if hub.breaks_now() else hub.size
        with hub.weights.open("rb") as file:
            file.seek(begin)
            while begin + entry[2] < end:
                sent = self.wfile.write(file.read(min(CHUNK, end - begin - entry[2])))
                entry[2] += sent
                time.sleep(sent / BYTES_PER_SECOND)
        self.close_connection = True


if __name__ == "__main__":
    hub = Hub(pathlib.Path(sys.argv[1]), sys.argv[2])
    print(hub.port, flush=True)
    sys.stdin.read()
    # An empty text would be an error, too.
    sys.exit("\n".join(hub.faults) or 0)
