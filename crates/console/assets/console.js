// Keeps a page up to date, and writes times and amounts as the reader is used to. Every page works without this script.

/** The shortest time between two refreshes after changes, in milliseconds. */
const REFRESH_MIN = 2000;
/** How often a page is read again without a change: for what the change stream does not tell. */
const REFRESH_IDLE = 15000;
/** How long to wait before a refused stream is opened again. */
const REOPEN = 5000;
/** How many lines of a log are shown. */
const LOG_LINES = 5000;

/** How many values a chart shows. */
const SAMPLES = 120;

const LOGIN = "/console/login";
const SVG = "http://www.w3.org/2000/svg";

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
        series?.sample();
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

/** Events of a stream of a model's answer: the texts that it consists of. */
async function* answerTexts(response) {
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new Error("");
      rest += decoder.decode(value, { stream: true });
      const lines = rest.split("\n");
      rest = lines.pop();
      for (const line of lines) {
        const data = line.startsWith("data:") ? line.slice(5).trim() : "";
        if (data === "[DONE]") return;
        if (!data) continue;
        const event = JSON.parse(data);
        if (event.error) throw new Error(event.error.message ?? event.error);
        yield event.choices?.[0]?.delta?.content ?? "";
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** A conversation with the model. Without this script, the form asks one question at a time. */
class Chat {
  constructor(section) {
    this.section = section;
    this.log = document.getElementById("chat-log");
    this.list = this.log.firstElementChild;
    this.stopButton = document.getElementById("chat-stop");
    this.messages = [];
    this.stopButton.addEventListener("click", () => this.asking?.abort());
    document.getElementById("chat-new").addEventListener("click", () => this.begin());
    // The form comes and goes with the model.
    document.addEventListener("submit", (event) => {
      if (!event.target.dataset.chat) return;
      event.preventDefault();
      this.ask(event.target);
    });
  }

  begin() {
    this.asking?.abort();
    this.asking = undefined;
    this.messages = [];
    this.list.replaceChildren();
    this.stopButton.hidden = true;
    this.focusQuestion();
    this.section.hidden = true;
  }

  focusQuestion() {
    document.querySelector("[data-chat] textarea")?.focus();
  }

  add(who) {
    const item = document.createElement("li");
    const author = document.createElement("strong");
    author.textContent = who;
    const content = document.createElement("p");
    content.dir = "auto";
    item.append(author, content);
    this.list.append(item);
    return content;
  }

  async ask(form) {
    const question = form.elements.question.value.trim();
    if (!question || this.asking) return;
    this.section.hidden = false;
    this.add(this.section.dataset.you).textContent = question;
    form.elements.question.value = "";
    const messages = [...this.messages, { role: "user", content: question }];
    const content = this.add(this.section.dataset.model);
    const asking = new AbortController();
    this.asking = asking;
    this.stopButton.hidden = false;
    this.log.setAttribute("aria-busy", "true");
    let answer = "";
    try {
      const request = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ messages }) };
      const response = await fetch(form.dataset.chat, { ...request, signal: asking.signal });
      if (isLogin(response)) return location.assign(LOGIN);
      if (!response.ok) throw new Error(await response.text());
      for await (const piece of answerTexts(response)) {
        answer += piece;
        content.textContent = answer;
        this.log.scrollTop = this.log.scrollHeight;
      }
    } catch (error) {
      if (error.name !== "AbortError") {
        const failed = document.createElement("p");
        failed.className = "notice bad";
        failed.textContent = error.message || this.section.dataset.cut;
        content.after(failed);
      }
    } finally {
      // A new conversation may have begun meanwhile.
      if (this.asking === asking) this.end(answer ? [...messages, { role: "assistant", content: answer }] : undefined, question);
    }
  }

  /** A question without an answer is not part of what the model gets, and can be asked again. */
  end(messages, question) {
    this.asking = undefined;
    if (document.activeElement === this.stopButton) this.focusQuestion();
    this.stopButton.hidden = true;
    this.log.removeAttribute("aria-busy");
    if (messages) this.messages = messages;
    const field = document.querySelector("[data-chat] textarea");
    if (!messages && field?.value === "") field.value = question;
  }
}

/** Charts of the meters of a page, from the values that were read since it was opened. */
class Series {
  constructor(section) {
    this.section = section;
    this.charts = document.getElementById("series-charts");
    this.known = new Map();
    this.sample();
  }

  /** Adds the values of a report that was not there at the last reading. */
  sample() {
    const at = Date.parse(document.querySelector("[data-reported]")?.dataset.reported);
    const shown = new Set();
    for (const meter of document.querySelectorAll("meter[data-series]")) {
      const name = meter.dataset.series;
      shown.add(name);
      if (!this.known.has(name)) this.known.set(name, { values: [], ...this.figure(name) });
      const series = this.known.get(name);
      if (!at || series.values.at(-1)?.at === at) continue;
      series.values.push({ at, value: meter.max > 0 ? meter.value / meter.max : 0 });
      if (series.values.length > SAMPLES) series.values.shift();
      this.draw(series);
    }
    for (const [name, { figure }] of this.known) {
      if (shown.has(name)) continue;
      figure.remove();
      this.known.delete(name);
    }
    this.section.hidden = ![...this.known.values()].some(({ values }) => values.length > 1);
  }

  figure(name) {
    const figure = document.createElement("figure");
    figure.className = "card";
    figure.hidden = true;
    const caption = document.createElement("figcaption");
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 100 100");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("role", "img");
    svg.classList.add("series");
    svg.append(document.createElementNS(SVG, "polyline"));
    figure.append(caption, svg);
    this.charts.append(figure);
    return { figure, caption, svg, name };
  }

  draw({ values, figure, caption, svg, name }) {
    if (values.length < 2) return;
    figure.hidden = false;
    const [first, last] = [values[0].at, values.at(-1).at];
    const points = values.map(({ at, value }) => `${((at - first) / (last - first)) * 100},${(100 - value * 100).toFixed(1)}`);
    svg.firstChild.setAttribute("points", points.join(" "));
    const percent = (value) => new Intl.NumberFormat(undefined, { style: "percent" }).format(value);
    const most = percent(Math.max(...values.map(({ value }) => value)));
    caption.textContent = `${name}: ${percent(values.at(-1).value)}, ${this.section.dataset.most} ${most}`;
    svg.setAttribute("aria-label", caption.textContent);
  }
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
const chat = document.getElementById("chat");
if (chat) new Chat(chat);
const charts = document.getElementById("series");
const series = charts ? new Series(charts) : undefined;
const button = document.getElementById("live");
if (button && document.querySelector("[data-refresh]")) new Live(button);
