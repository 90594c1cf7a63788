"""Walks through the console in a real Chromium: every page and action, against an emulated cloud.

Usage: walk.py FOLDER_OF_EXECUTABLES FOLDER_FOR_PICTURES CHROMIUM
"""

import atexit
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import axe_playwright_python
from playwright.sync_api import expect, sync_playwright

BIN, PICTURES, CHROMIUM = (pathlib.Path(a) for a in sys.argv[1:4])
AXE = (pathlib.Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
MODEL = "Qwen/Qwen2.5-7B-Instruct"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> שלום \U0001f980"
# Long enough for a slow machine; a wait that reaches it fails.
PATIENCE_MS = 90_000
# The control plane is on this machine, whatever the proxy.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class ControlPlane:
    """`inventiv serve` and an emulated cloud whose servers run a worker and a stand-in engine."""

    def __init__(self, folder):
        self.folder, self.server = folder, None
        command = [BIN / "scaleway-emulator", "--listen", "127.0.0.1:0", "--clock", "x20", "--seed", "1"]
        command += ["--boot", f"exec '{BIN / 'inventiv'}' emulated-server"]
        self.cloud = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        atexit.register(self.stop)
        cloud_url = re.search(r"http://\S+", self.cloud.stdout.readline()).group(0)
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}"
        self.env = {
            **os.environ,
            "SCW_API_URL": cloud_url,
            "SCW_SECRET_KEY": "22222222-2222-4222-8222-222222222222",
            "SCW_DEFAULT_PROJECT_ID": "11111111-1111-4111-8111-111111111111",
            "INVENTIV_LOG": "warn",
        }
        self.start()
        self.token = (folder / "token").read_text().strip()
        self.until(lambda: self.api("GET", "/offers")["items"])

    def start(self):
        command = [BIN / "inventiv", "serve", "--listen", self.address, "--zones", "fr-par-2"]
        command += ["--database", f"sqlite:{self.folder / 'console.db'}", "--token-file", self.folder / "token"]
        self.server = subprocess.Popen(command, env=self.env)
        self.until(self.is_listening)

    def is_listening(self):
        with socket.socket() as s:
            host, port = self.address.split(":")
            return s.connect_ex((host, int(port))) == 0

    def kill(self):
        self.server.send_signal(signal.SIGKILL)
        self.server.wait()

    def stop(self):
        for process in filter(None, (self.server, self.cloud)):
            process.terminate()
            process.wait()

    def api(self, method, path, body=None):
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with DIRECT.open(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    @staticmethod
    def until(done):
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not done():
            if time.monotonic() > deadline:
                raise RuntimeError("it took too long")
            time.sleep(0.05)


class Walk:
    def __init__(self, plane, browser):
        self.plane = plane
        self.faults = []
        self.checked = 0
        self.browser = browser
        # The checks of accessibility are injected, which the policy of the console rightly forbids to others.
        self.context = browser.new_context(bypass_csp=True)
        self.page = self.open(self.context)

    def open(self, context):
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda e: self.faults.append(f"script: {e}"))
        page.on("dialog", lambda d: (self.faults.append(f"a text of somebody ran as a script: {d.message}"), d.dismiss()))
        return page

    def go(self, path):
        self.page.goto(self.plane.url + path)

    def check(self, name, page=None):
        """Accessibility in light and dark, and no sideways scrolling, from a phone to a wide screen."""
        page = page or self.page
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            for width in (320, 390, 640, 768, 1440):
                page.set_viewport_size({"width": width, "height": 900})
                wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                if wide > 0:
                    self.faults.append(f"{name}: scrolls sideways by {wide} px at {width} px")
                if (width, scheme) in ((390, "dark"), (768, "light"), (1440, "light")):
                    page.screenshot(path=PICTURES / f"{name}-{width}.png", full_page=True)
                if width in (390, 1440):
                    page.evaluate(AXE)
                    result = page.evaluate("axe.run()")
                    self.checked += len(result["passes"])
                    for v in result["violations"]:
                        node = v["nodes"][0]["html"][:150]
                        self.faults.append(f"{name} {scheme} {width}: {v['impact']} {v['id']}: {node}")
        page.emulate_media(color_scheme="light", reduced_motion="no-preference")
        page.set_viewport_size({"width": 1280, "height": 900})

    def pages(self):
        plane = self.plane
        service = plane.api("GET", "/services")["items"][0]["id"]
        instances = plane.api("GET", "/instances?limit=500")["items"]
        living = next(i["id"] for i in instances if i["status"] == "ready" and i["model_id"])
        hostile = next(i["id"] for i in instances if i["name"] == HOSTILE)
        ended = next(i["id"] for i in instances if i["status"] == "terminated")
        volume = plane.api("GET", "/volumes")["items"][0]["id"]
        return {
            "overview": "/",
            "services": "/console/services",
            "service": f"/console/services/{service}",
            "service-new": "/console/services/new",
            "service-delete": f"/console/services/{service}/delete",
            "instances": "/console/instances",
            "instances-ended": "/console/instances?status=ended",
            "instances-none": "/console/instances?zone=fr-par-2&status=stopped",
            "instances-wrong": "/console/instances?zone=%3Cscript%3E",
            "instance": f"/console/instances/{living}",
            "instance-log": f"/console/instances/{living}/log",
            "instance-hostile": f"/console/instances/{hostile}",
            "instance-terminate": f"/console/instances/{hostile}/terminate",
            "instance-ended": f"/console/instances/{ended}",
            "instance-new": "/console/instances/new",
            "proof": f"/console/instances/{ended}/proof",
            "volumes": "/console/volumes",
            "volume": f"/console/volumes/{volume}",
            "audit": "/console/audit",
            "costs": "/console/costs",
            "bill": "/console/costs/bill",
            "settings": "/console/settings",
            "unknown": "/console/nothing",
        }


def log_in_by_keyboard(walk):
    walk.go("/")
    expect(walk.page).to_have_url(walk.plane.url + "/console/login")
    walk.check("login")
    # The field has the focus.
    walk.page.keyboard.type("wrong")
    walk.page.keyboard.press("Enter")
    expect(walk.page.get_by_role("alert")).to_contain_text("wrong or has expired")
    walk.page.keyboard.type(walk.plane.token)
    walk.page.keyboard.press("Enter")
    expect(walk.page).to_have_url(walk.plane.url + "/")
    expect(walk.page.get_by_text("Nothing needs you.")).to_be_visible()
    # The first stop of the keyboard leads past the sections.
    walk.page.keyboard.press("Tab")
    expect(walk.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    walk.check("empty")


def size_of_the_first_page(walk):
    page, responses = walk.page, []
    page.on("response", lambda r: responses.append(r))
    walk.go("/")
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
    sizes = [len(r.body()) for r in responses if r.request.resource_type in ("document", "stylesheet", "script", "image")]
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    print(f"first page: {sum(sizes)} bytes uncompressed, first contentful paint after {paint:.0f} ms")
    assert 0 < sum(sizes) < 200_000, sizes


def life_of_an_instance(walk):
    """From the empty form to the proof, without a reload."""
    page = walk.page
    page.get_by_role("link", name="New instance").click()
    page.get_by_label("Server type").select_option(value="scaleway:11111111-1111-4111-8111-111111111111 fr-par-2 L40S-1-48G")
    page.get_by_label("Model", exact=True).fill(MODEL)
    page.get_by_role("textbox", name="Name").fill("walk")
    page.get_by_role("button", name="Show plan and price").click()
    expect(page.get_by_role("heading", name="Plan")).to_be_visible()
    walk.check("instance-plan")
    page.get_by_role("button", name="Create for").click()
    expect(page.get_by_role("heading", name="walk")).to_be_visible()
    page.evaluate("window.marker = 1")
    # What the reader does meanwhile is left alone.
    page.get_by_text("Action log").click()
    hours = page.get_by_label("End in this many hours")
    hours.fill("12")
    expect(page.locator("#state .badge").first).to_have_text(re.compile("ready"), timeout=PATIENCE_MS)
    expect(page.locator("#worker")).to_contain_text("answered")
    expect(page.get_by_role("cell", name="ask the model").or_(page.get_by_role("rowheader", name="ask the model"))).to_be_visible()
    assert page.evaluate("window.marker") == 1, "the page was loaded again"
    assert page.evaluate("document.getElementById('log-lines').open"), "the details were closed"
    expect(hours).to_have_value("12")
    converse(page)
    walk.check("instance-conversation")
    assert page.evaluate("window.marker") == 1, "the page was loaded again"
    page.get_by_role("link", name="Terminate").click()
    for text in ("20 GB", "1600 GB", "200 GB", "The server"):
        expect(page.get_by_role("main")).to_contain_text(text)
    page.get_by_role("button", name="Terminate now").click()
    expect(page.locator("#state .badge").first).to_have_text(re.compile("terminated"), timeout=PATIENCE_MS)
    page.get_by_role("link", name="Proof", exact=True).click()
    expect(page.get_by_text("proven gone").first).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("HTTP 404")


def converse(page):
    """Two questions in one conversation, and a new one; the answers are shown as they are written."""
    log = page.locator("#chat-log li")
    for n, question in enumerate(("What do you cost when nobody asks?", HOSTILE)):
        page.get_by_label("Question").fill(question)
        page.get_by_role("button", name="Ask").click()
        expect(log).to_have_count(2 * n + 2)
        expect(log.nth(2 * n)).to_contain_text(question)
        expect(log.nth(2 * n + 1)).to_contain_text(question)
        expect(page.get_by_role("button", name="Stop the answer")).to_be_hidden()
    expect(page.locator("#chat .notice")).to_have_count(0)
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator("#chat")).to_be_hidden()
    expect(page.get_by_label("Question")).to_be_focused()
    # A new conversation in the middle of an answer begins from nothing.
    page.get_by_label("Question").fill("word " * 400)
    page.get_by_role("button", name="Ask").click()
    page.get_by_role("button", name="New conversation").click()
    with page.expect_request("**/chat") as sent:
        page.get_by_label("Question").fill("Once more?")
        page.get_by_role("button", name="Ask").click()
    assert len(sent.value.post_data_json["messages"]) == 1, sent.value.post_data
    expect(log).to_have_count(2)
    expect(log.nth(1)).to_contain_text("Once more?")
    expect(page.get_by_role("button", name="Stop the answer")).to_be_hidden()


def values_over_time(walk):
    """Each report of a worker adds a point to the charts of its meters."""
    page, plane, reports = walk.page, walk.plane, iter(range(10, 60))
    life = next(i for i in plane.api("GET", "/instances")["items"] if i["name"] == "qwen")

    def later(route):
        answer = route.fetch()
        now = f'data-reported="2026-01-01T00:00:{next(reports)}Z"'
        route.fulfill(response=answer, body=re.sub(r'data-reported="[^"]+"', now, answer.text()))

    page.route(re.compile(f"/console/instances/{life['id']}$"), later)
    walk.go(f"/console/instances/{life['id']}")
    line = page.locator("#series polyline").first
    expect(line).to_have_attribute("points", re.compile(r"^0,\S+ 100,\S+$"))
    expect(page.locator("#series figcaption").first).to_contain_text("at most")
    page.unroute_all()
    walk.check("instance-series")


def focus_survives_a_refresh(walk):
    """Somebody at the keyboard is not thrown back to the top when the page reads itself again."""
    page, plane = walk.page, walk.plane
    walk.go("/console/instances")
    link = page.get_by_role("link", name="x" * 100)
    link.focus()
    plane.api("POST", "/instances", {"zone": "fr-par-2", "instance_type": "L4-1-24G", "name": "above", "data_volume_gb": 50})
    expect(page.get_by_role("link", name="above")).to_be_visible()
    expect(link).to_be_focused()
    plane.api("DELETE", "/instances/above")


def webhook_from_the_form(walk):
    page = walk.page
    walk.go("/console/settings")
    form = page.locator("form[action$='create-webhook']")
    form.get_by_label("Name").fill("on-call")
    form.get_by_label("Address").fill("http://127.0.0.1:9/hook")
    form.get_by_role("button").click()
    expect(page.locator("#made")).to_contain_text("whsec_")
    page.get_by_role("button", name="Test on-call").click()
    expect(page.get_by_role("status").filter(has_text=re.compile("queued|refused|connect"))).to_be_visible()
    page.get_by_role("button", name="Delete on-call").click()
    expect(page.get_by_text("No webhook is told of alerts.")).to_be_visible()


def without_a_script(walk):
    """One question with its answer, by the form alone."""
    page = walk.context.browser.new_context(java_script_enabled=False, storage_state=walk.context.storage_state()).new_page()
    service = walk.plane.api("GET", "/services")["items"][0]["id"]
    page.goto(f"{walk.plane.url}/console/services/{service}")
    page.get_by_label("Question").fill("Hello?")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#answer")).to_contain_text("Hello?")
    page.context.close()


def service_with_a_chat(walk):
    page = walk.page
    walk.go("/console/services")
    page.get_by_role("link", name="New service").click()
    page.get_by_label("Model", exact=True).fill(MODEL)
    page.get_by_role("textbox", name="Name").fill("chat")
    page.get_by_label("Replicas at least").fill("1")
    page.get_by_label("Replicas at most").fill("2")
    page.get_by_role("button", name="Show plan and price").click()
    walk.check("service-plan")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.locator("#state .badge").first).to_have_text(re.compile("ready"), timeout=PATIENCE_MS)
    converse(page)


def hostile_names(walk):
    for name in (HOSTILE, "x" * 100):
        request = {"zone": "fr-par-2", "instance_type": "L4-1-24G", "name": name, "data_volume_gb": 50}
        walk.plane.api("POST", "/instances", request | {"tags": [HOSTILE]})
    walk.plane.api("POST", "/keys", {"name": HOSTILE})
    walk.plane.api("POST", "/sessions", {"name": HOSTILE})
    walk.go("/console/costs?group=tag")
    walk.go("/console/instances")
    expect(walk.page.get_by_role("link", name=HOSTILE)).to_be_visible()


def changes_arrive_and_can_be_paused(walk):
    page, plane = walk.page, walk.plane
    walk.go("/console/instances")
    live = page.locator("#live")
    expect(live).to_have_text("Live")
    live.click()
    expect(live).to_have_text("Paused")
    plane.api("POST", "/instances", {"zone": "fr-par-2", "instance_type": "L4-1-24G", "name": "later", "data_volume_gb": 50})
    page.wait_for_timeout(4_000)
    assert page.get_by_role("link", name="later").count() == 0, "a paused page changed"
    live.click()
    expect(page.get_by_role("link", name="later")).to_be_visible()
    plane.api("DELETE", "/instances/later")
    expect(page.locator("#announce")).to_contain_text("change(s) in instances")


def a_quiet_page_is_not_polled(walk):
    page = walk.page
    walk.go("/console/volumes")
    expect(page.locator("#live")).to_be_visible()
    expect(page.locator("#live")).to_have_text("Live")
    # The page is read once when the stream is open.
    page.wait_for_timeout(3_000)
    seen = []
    page.on("request", lambda r: seen.append(r.url) if r.resource_type == "fetch" else None)
    page.wait_for_timeout(10_000)
    assert len(seen) <= 1, seen


def connection_is_cut(walk):
    page, plane = walk.page, walk.plane
    walk.go("/console/instances")
    live = page.locator("#live")
    expect(live).to_have_text("Live")
    page.evaluate("window.marker = 2")
    plane.kill()
    expect(live).to_have_text("Reconnecting…")
    plane.start()
    plane.api("POST", "/instances", {"zone": "fr-par-2", "instance_type": "L4-1-24G", "name": "after-the-cut", "data_volume_gb": 50})
    expect(live).to_have_text("Live")
    expect(page.get_by_role("link", name="after-the-cut")).to_be_visible()
    assert page.evaluate("window.marker") == 2, "the page was loaded again"


def a_readers_link(walk):
    page = walk.page
    walk.go("/console/settings")
    page.get_by_label("Who is it for?").fill("finance")
    page.get_by_role("button", name="Create reader's link").click()
    link = page.locator("#made").inner_text()
    assert link.startswith(walk.plane.url + "/console/login#ses_"), link
    walk.check("settings-link")
    context = walk.browser.new_context(bypass_csp=True)
    reader = walk.open(context)
    reader.goto(link)
    expect(reader).to_have_url(walk.plane.url + "/")
    expect(reader.get_by_text("Read only")).to_be_visible()
    walk.check("reader", reader)
    context.close()


def an_account_is_checked(walk):
    page = walk.page
    walk.go("/console/settings")
    page.get_by_role("button", name="Check the account").click()
    expect(page.locator("#checked")).to_contain_text("Every check passed.")
    walk.check("settings-checked")


def a_session_that_ends(walk):
    walk.go("/console/instances")
    expect(walk.page.locator("#live")).to_have_text("Live")
    walk.plane.api("DELETE", "/sessions")
    expect(walk.page).to_have_url(walk.plane.url + "/console/login", timeout=PATIENCE_MS)


def main():
    expect.set_options(timeout=PATIENCE_MS)
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which(CHROMIUM), args=["--no-sandbox"])
        plane = ControlPlane(pathlib.Path(folder))
        walk = Walk(plane, browser)
        try:
            steps = [
                log_in_by_keyboard,
                size_of_the_first_page,
                life_of_an_instance,
                service_with_a_chat,
                without_a_script,
                hostile_names,
                focus_survives_a_refresh,
                webhook_from_the_form,
                changes_arrive_and_can_be_paused,
            ]
            for step in steps:
                step(walk)
                print(f"ok: {step.__name__}", flush=True)
            plane.until(lambda: all(i["status"] in ("ready", "terminated") for i in plane.api("GET", "/instances?limit=500")["items"]))
            life = plane.api("POST", "/instances", {"zone": "fr-par-2", "instance_type": "L40S-1-48G", "name": "qwen", "model_id": MODEL})
            plane.until(lambda: plane.api("GET", f"/instances/{life['id']}")["status"] == "ready")
            for name, path in walk.pages().items():
                walk.go(path)
                walk.check(name)
            print(f"ok: {walk.checked} rules of accessibility passed", flush=True)
            walk.go(walk.pages()["proof"])
            walk.page.pdf(path=PICTURES / "proof.pdf", format="A4")
            walk.page.set_viewport_size({"width": 1280, "height": 480})
            walk.go("/")
            walk.page.screenshot(path=PICTURES / "console.png")
            for step in [values_over_time, a_quiet_page_is_not_polled, connection_is_cut, an_account_is_checked, a_readers_link, a_session_that_ends]:
                step(walk)
                print(f"ok: {step.__name__}", flush=True)
        finally:
            print("\n".join(walk.faults), flush=True)
            browser.close()
            plane.stop()
        if walk.faults:
            raise SystemExit(f"{len(walk.faults)} faults, see above")


main()
