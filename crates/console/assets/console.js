// Keeps a page up to date, and writes times and amounts as the reader is used to. Every page works without this script.

/** The shortest time between two refreshes after changes, in milliseconds. */
const REFRESH_MIN = 2000;
/** How often a page is read again without a change: for what the change stream does not tell. */
const REFRESH_IDLE = 15000;
/** How long to wait before a refused stream is opened again. */
const REOPEN = 5000;
/** How many lines of a log are shown. */
const LOG_LINES = 5000;

const LOGIN = "/console/login";

const text = document.body.dataset;

function localize(root) {
  const times = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.textContent = times.format(new Date(time.dateTime));
  }
  for (const money of root.querySelectorAll("data.money")) {
    const amount = Number(money.value);
    const digits = amount !== 0 && Math.abs(amount) < 0.1 ? 4 : 2;
    const format = { style: "currency", currency: money.dataset.currency, minimumFractionDigits: digits, maximumFractionDigits: digits };
    money.textContent = new Intl.NumberFormat(undefined, format).format(amount);
  }
}

/** Makes an element like another one, and keeps what is equal: focus, selections and open details survive. */
function morph(from, to) {
  // What a reader types is theirs.
  if (from.isEqualNode(to) || from.nodeName === "TEXTAREA") return;
  if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName) return from.replaceWith(to);
  if (from.nodeType !== Node.ELEMENT_NODE) {
    from.nodeValue = to.nodeValue;
    return;
  }
  const isKept = (name) => from.nodeName === "DETAILS" && name === "open";
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !isKept(name)) from.removeAttribute(name);
  }
  for (const { name, value } of [...to.attributes]) {
    if (from.getAttribute(name) !== value && !isKept(name)) from.setAttribute(name, value);
  }
  const wanted = new Set([...to.children].map((child) => child.id));
  // First, what goes: what stays need not move, so it keeps the focus.
  for (const child of [...from.children]) {
    if (child.id && !wanted.has(child.id)) child.remove();
  }
  const known = new Map([...from.children].filter((child) => child.id).map((child) => [child.id, child]));
  let at = from.firstChild;
  for (const node of [...to.childNodes]) {
    const old = node.id ? known.get(node.id) : undefined;
    if (old) {
      // White space between elements must not keep them apart: an element that moves loses the focus.
      while (at && at !== old && !at.id) {
        const next = at.nextSibling;
        at.remove();
        at = next;
      }
      if (old === at) at = at.nextSibling;
      else from.insertBefore(old, at);
      morph(old, node);
    } else if (at && !at.id && !node.id && at.nodeType === node.nodeType && at.nodeName === node.nodeName) {
      const next = at.nextSibling;
      morph(at, node);
      at = next;
    } else {
      from.insertBefore(node, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

/** Whether the session has ended. */
function isLogin(response) {
  return response.redirected && new URL(response.url).pathname === LOGIN;
}

class Live {
  constructor(button) {
    this.button = button;
    this.changed = new Set();
    this.isDirty = false;
    this.isPaused = false;
    this.isReading = false;
    this.lastRead = Date.now();
    button.hidden = false;
    button.addEventListener("click", () => this.pause(!this.isPaused));
    document.addEventListener("visibilitychange", () => this.follow());
    this.follow();
    setInterval(() => this.tick(), 500);
  }

  pause(isPaused) {
    this.isPaused = isPaused;
    this.button.setAttribute("aria-pressed", String(isPaused));
    this.follow();
  }

  /** Streams only while somebody looks: browsers allow few connections. */
  follow() {
    const wanted = !this.isPaused && !document.hidden;
    if (!wanted) {
      this.stream?.close();
      this.stream = undefined;
      this.say(this.isPaused ? text.paused : text.reconnecting);
    } else if (!this.stream) {
      this.isDirty = true;
      this.open();
    }
  }

  open() {
    this.say(text.reconnecting);
    this.stream = new EventSource(text.livePath);
    this.stream.addEventListener("live", () => {
      this.say(text.live);
      this.isDirty = true;
    });
    this.stream.addEventListener("instance", (event) => {
      this.changed.add(JSON.parse(event.data).id);
      this.isDirty = true;
    });
    this.stream.addEventListener("error", () => {
      this.say(text.reconnecting);
      if (this.stream?.readyState !== EventSource.CLOSED) return;
      // It was refused: the session has ended, or the control plane is starting.
      this.stream = undefined;
      this.isDirty = true;
      setTimeout(() => this.follow(), REOPEN);
    });
  }

  say(state) {
    this.button.textContent = state;
    this.button.dataset.state = state === text.live ? "live" : "off";
  }

  tick() {
    if (this.isPaused || document.hidden || this.isReading) return;
    const since = Date.now() - this.lastRead;
    if (since >= REFRESH_IDLE || (this.isDirty && since >= REFRESH_MIN)) this.read();
  }

  async read() {
    this.isReading = true;
    this.isDirty = false;
    const changed = this.changed.size;
    this.changed.clear();
    try {
      const response = await fetch(location.href, { headers: { accept: "text/html" } });
      if (isLogin(response)) {
        location.assign(LOGIN);
        return;
      }
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      if (this.isPaused) return;
      if (!response.ok) {
        // What is shown may be old.
        this.isDirty = true;
        this.say(text.reconnecting);
      } else {
        if (this.stream?.readyState === EventSource.OPEN) this.say(text.live);
        localize(page);
        for (const old of document.querySelectorAll("[data-refresh]")) {
          const now = page.getElementById(old.id);
          if (now) morph(old, now);
        }
        if (changed > 0) document.getElementById("announce").textContent = `${changed} ${text.changed}`;
      }
    } catch {
      // The control plane does not answer: the button says so, and the next tick tries again.
      this.isDirty = true;
      if (!this.isPaused) this.say(text.reconnecting);
    } finally {
      this.lastRead = Date.now();
      this.isReading = false;
    }
  }
}

/** Shows the lines of a log as they are written, and stays at the end unless the reader looks further up. */
function followLog(log) {
  let stream;
  const open = () => {
    if (stream || document.hidden) return;
    stream = new EventSource(log.dataset.follow);
    // A new stream begins with the last lines again.
    let isFirst = true;
    stream.addEventListener("open", () => {
      isFirst = true;
    });
    stream.addEventListener("line", (event) => {
      const line = JSON.parse(event.data);
      const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      if (isFirst) log.replaceChildren();
      isFirst = false;
      document.getElementById("no-log")?.remove();
      log.append(`${line.source ? `${line.source}: ` : ""}${line.text}\n`);
      while (log.childNodes.length > LOG_LINES) log.firstChild.remove();
      if (isAtEnd) log.scrollTop = log.scrollHeight;
    });
    stream.addEventListener("error", async () => {
      if (stream.readyState !== EventSource.CLOSED) return;
      const response = await fetch(location.href).catch(() => undefined);
      if (response && isLogin(response)) location.assign(LOGIN);
      stream = undefined;
      setTimeout(open, REOPEN);
    });
  };
  document.addEventListener("visibilitychange", open);
  open();
}

/** A link with a token: the part after `#` is sent to no server. */
function useLink(form) {
  const token = location.hash.slice(1);
  if (!token.startsWith("ses_")) return;
  history.replaceState(null, "", location.pathname);
  form.elements.token.value = token;
  form.requestSubmit();
}

/** What is shown once is shown whole, so that it can be copied. */
function completeLink(element) {
  if (element.textContent.startsWith("/")) element.textContent = location.origin + element.textContent;
}

localize(document);
const login = document.getElementById("login");
if (login) useLink(login);
document.querySelectorAll("[data-follow]").forEach(followLog);
document.querySelectorAll("[data-copy]").forEach(completeLink);
const button = document.getElementById("live");
if (button && document.querySelector("[data-refresh]")) new Live(button);
