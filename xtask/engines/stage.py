"""The real executables for a trial: an emulated cloud whose servers boot, and a control plane with its own folder."""

import json
import pathlib
import socket
import subprocess
import time
import urllib.error
import urllib.request

# How long anything may take that is waited for, in seconds.
LIMIT_S = 120
LOG_LINES = 30
ID = "11111111-1111-4111-8111-111111111111"
SECRET = "22222222-2222-4222-8222-222222222222"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Stage:
    """Ends what it started when it is left."""

    def __init__(self, programs: pathlib.Path, folder: pathlib.Path) -> None:
        self.inventiv, self.folder = str(programs / "inventiv"), folder
        self.url = f"http://127.0.0.1:{free_port()}"
        self.processes: list[subprocess.Popen] = []
        boot = f"exec {self.inventiv} emulated-server"
        emulator = [str(programs / "scaleway-emulator"), "--listen", "127.0.0.1:0", "--clock", "x20", "--boot", boot]
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder)}
        with self.log("emulator").open("wb") as log:
            cloud = subprocess.Popen(emulator, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        self.processes.append(cloud)
        words = cloud.stdout.readline().decode().split()
        self.cloud = next((w for w in words if w.startswith("http://")), "")
        assert self.cloud, f"the emulator did not print its address, but {words}"
        self.env = env | {
            "SCW_API_URL": self.cloud,
            "SCW_SECRET_KEY": SECRET,
            "SCW_DEFAULT_PROJECT_ID": ID,
            "INVENTIV_URL": self.url,
            "INVENTIV_LISTEN": self.url.removeprefix("http://"),
            "INVENTIV_DATABASE_URL": f"sqlite:{folder / 'inventiv.db'}",
            "INVENTIV_TOKEN_FILE": str(folder / "token"),
            "INVENTIV_ZONES": "fr-par-2",
            "INVENTIV_CREATE_GRACE_SECONDS": "3",
            "INVENTIV_CONSISTENCY_WINDOW_SECONDS": "2",
        }

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()

    def log(self, name: str) -> pathlib.Path:
        return self.folder / f"{name}.log"

    def log_tail(self) -> str:
        log = self.log("control-plane")
        return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:]) if log.exists() else "no log"

    def serve(self) -> None:
        """Starts the control plane, and waits for its catalogue."""
        with self.log("control-plane").open("wb") as log:
            started = [self.inventiv, "serve"]
            out = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            self.processes.append(subprocess.Popen(started, env=self.env, **out))
        self.until("catalogue", lambda: "L40S-1-48G" in self.run("offer", "list", "-o", "json", fails=True).stdout)

    def run(self, *args: str, fails: bool = False, env: dict | None = None) -> subprocess.CompletedProcess:
        """Runs a command; unless it may fail, it must succeed."""
        run = subprocess.run([self.inventiv, *args], env=self.env | (env or {}), capture_output=True, text=True)
        assert fails or run.returncode == 0, f"`inventiv {' '.join(args)}` ended with {run.returncode}:\n{run.stderr}"
        return run

    def read(self, *args: str):
        return json.loads(self.run(*args, "-o", "json").stdout)

    def show(self, name: str) -> dict:
        return self.read("instance", "show", name)

    def until(self, what: str, is_true):
        """Waits; returns what `is_true` returned."""
        began = time.monotonic()
        while True:
            if found := is_true():
                return found
            assert time.monotonic() - began < LIMIT_S, f"no {what} within {LIMIT_S} s"
            time.sleep(0.1)

    def becomes(self, name: str, status: str) -> dict:
        def reached():
            shown = self.show(name)
            over = shown["status"] in ("terminated", "startup_failed") and shown["status"] != status
            assert not over, f"{name} is {shown['status']}: {shown['worker']}"
            return shown if shown["status"] == status else None

        return self.until(f"{status} {name}", reached)

    def token(self) -> str:
        return (self.folder / "token").read_text().strip()

    def get(self, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """A request to the control plane; a body makes it a POST."""
        headers = {"authorization": f"Bearer {self.token()}", "content-type": "application/json"}
        request = urllib.request.Request(self.url + path, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def step_text(self, name: str, action: str) -> str:
        """The text of the last step of this kind."""
        status, body = self.get(f"/action_logs?instance_id={self.show(name)['id']}&limit=500")
        assert status == 200, body
        lines = [line for line in json.loads(body)["items"] if line["action"] == action]
        assert lines, f"no {action} of {name} is in the action log"
        return max(lines, key=lambda line: line["started_at"])["details"] or ""

    def held(self) -> dict:
        """What the cloud still holds."""
        with urllib.request.urlopen(f"{self.cloud}/_emulator/state", timeout=LIMIT_S) as response:
            state = json.load(response)
        return {kind: state[kind] for kind in ("servers", "volumes", "ips") if state[kind]}
