// Keeps a page up to date: <div data-module="live" data-stream="…">. Values arrive by
// row and cell: data-key names the row, data-cell="text-cell attribute=cell …" the places.
// Rows are never moved under the pointer or the focus.
import { toast } from "./toast.js";

const QUIET_MS = 12000;
const REFRESH_MS = 2000;
const MOST_LINES = 200;

export function attach(root) {
  const find = (name) => root.querySelector(`[${name}]`);
  const [badge, words, pause, fresh] = ["data-live", "data-live-text", "data-pause", "data-fresh"].map(find);
  const lines = find("data-lines");
  const model = root.querySelector("template");
  for (const element of root.querySelectorAll("[data-live], [data-live-actions]")) element.hidden = false;
  let abort = null, heard = Date.now(), wait = 1000, last = "", paused = false, over = false, lost = false, trouble = "";
  let keys = null, refreshing = 0, waiting = [], timer = 0;

  const rows = () => root.querySelectorAll("[data-key]");
  const rowsOf = (key) => root.querySelectorAll(`[data-key="${CSS.escape(key)}"]`);

  function fill(row, cells, within = true) {
    const places = [...row.querySelectorAll("[data-cell]")];
    if (row.dataset?.cell) places.push(row);
    for (const place of places) {
      if (!within && place.closest("[data-key]")) continue;
      for (const pair of place.dataset.cell.split(" ")) {
        const [attribute, cell] = pair.includes("=") ? pair.split("=") : [null, pair];
        const value = cells[cell];
        if (value === undefined) continue;
        if (!attribute) { if (place.textContent !== value) place.textContent = value; }
        else if (attribute === "href" && !value.startsWith("/")) continue;
        else place.setAttribute(attribute, value);
      }
    }
  }

  const isBusy = () => ["rows", "lines"].some((name) => {
    const part = root.querySelector(`[data-part="${name}"]`);
    return part && (part.matches(":hover") || part.contains(document.activeElement));
  });

  // Takes the parts of the page from the server: rows that are new, pages that have moved up.
  async function refresh() {
    clearTimeout(timer);
    timer = 0;
    refreshing = Date.now();
    const answer = await fetch(location.href, { headers: { "X-Background": "1", "X-Fetched": "1", Accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const picked = new Set([...root.querySelectorAll(".pick:checked")].map((pick) => pick.value));
    for (const part of root.querySelectorAll("[data-part]")) {
      const other = page.querySelector(`[data-part="${part.dataset.part}"]`);
      if (other && !part.contains(document.activeElement)) part.replaceChildren(...document.importNode(other, true).childNodes);
    }
    for (const pick of root.querySelectorAll(".pick")) pick.checked = picked.has(pick.value);
    refreshing = Date.now();
    waiting = [];
    if (fresh) fresh.hidden = true;
    root.dispatchEvent(new Event("change", { bubbles: true }));
    root.dispatchEvent(new CustomEvent("rows"));
  }

  function offer() {
    if (!fresh) return;
    fresh.textContent = waiting.length ? `${waiting.length} new, show` : "Changed, show";
    fresh.hidden = false;
  }

  function later() {
    if (timer) return;
    timer = setTimeout(() => {
      timer = 0;
      if (isBusy()) { offer(); later(); return; }
      refresh().catch(() => {});
    }, Math.max(300, refreshing + REFRESH_MS - Date.now()));
  }

  function settle(now) {
    const had = keys ?? [...rows()].map((row) => row.dataset.key);
    keys = now;
    const known = new Set(now);
    let gone = 0;
    for (const row of rows()) {
      if (known.has(row.dataset.key)) continue;
      const group = row.closest("[data-group]");
      const whole = group && group.dataset.group === row.dataset.key ? group : row;
      if (whole.contains(document.activeElement)) {
        (whole.nextElementSibling ?? whole.previousElementSibling)?.querySelector("a, button, input")?.focus();
      }
      whole.remove();
      gone += 1;
    }
    const missing = now.filter((key) => !rowsOf(key).length);
    waiting = missing.filter((key) => !had.includes(key) || waiting.includes(key)).filter((key) => !key.includes(" "));
    if (gone || missing.length) later();
    root.dispatchEvent(new CustomEvent("rows"));
  }

  function add(all) {
    if (!lines || !model) return;
    const made = all.map((line) => {
      const row = document.importNode(model.content, true).firstElementChild;
      row.dataset.key = line.key;
      fill(row, line.cells);
      for (const place of row.querySelectorAll("[data-hide]")) place.hidden = !line.cells[place.dataset.hide];
      return row;
    });
    if (isBusy() && !paused) { waiting.push(...made); offer(); }
    else lines.prepend(...made.reverse());
    if (waiting.length > MOST_LINES) waiting.splice(0, waiting.length - MOST_LINES);
    while (lines.children.length > MOST_LINES) lines.lastElementChild.remove();
    root.querySelector("[data-empty]")?.remove();
  }

  function take(name, data) {
    if (name === "end") {
      if (data.status === 401) signedOut();
      else if (data.status === 403) { over = true; say("warn", "Your right to look on was taken away"); }
      return;
    }
    if (data.keys) settle(data.keys);
    else if (name === "snapshot" && !lines) settle([]);
    for (const [key, cells] of Object.entries(data.cells ?? {})) {
      if (key === "") fill(root, cells, false);
      else for (const row of rowsOf(key)) fill(row, cells);
    }
    const count = data.cells?.[""]?.all;
    const place = document.querySelector('[data-count="connections"]');
    if (count && place) place.textContent = count;
    if (data.lines) add(data.lines);
  }

  function signedOut() {
    over = true;
    say("bad", "Your session has ended");
    toast("Your session has ended.", { action: "Sign in", onAction: () => location.reload(), lasts: 0 });
  }

  function say(kind, text) {
    badge.firstElementChild.className = `dot ${kind}`;
    words.textContent = text;
    root.classList.toggle("stale", kind !== "" && kind !== "off");
  }

  async function read() {
    abort = new AbortController();
    const headers = { Accept: "text/event-stream", "X-Fetched": "1" };
    if (last) headers["Last-Event-ID"] = last;
    const answer = await fetch(root.dataset.stream, { headers, signal: abort.signal });
    if (answer.status === 401) { signedOut(); return; }
    if (answer.status === 403) { over = true; say("warn", "You may not look on any more"); return; }
    if (answer.status === 429) { wait = 30000; trouble = "Too many live pages are open"; return; }
    if (!answer.ok || !answer.body) return;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      heard = Date.now();
      wait = 1000;
      lost = false;
      if (!over) say("", "Live");
      text += value;
      const events = text.split("\n\n");
      text = events.pop();
      for (const event of events) {
        const fields = Object.fromEntries(event.split("\n").map((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)]));
        last = fields.id ?? last;
        take(fields.event, JSON.parse(fields.data));
      }
    }
  }

  async function run() {
    while (!over && !paused && !document.hidden) {
      trouble = "";
      try { await read(); } catch { /* cut off */ }
      if (over || paused || document.hidden) break;
      lost = true;
      tellLoss();
      await new Promise((done) => setTimeout(done, wait * (0.5 + Math.random())));
      wait = Math.min(wait * 2, 30000);
    }
    running = false;
  }
  let running = false;
  const start = () => {
    if (running || over) return;
    running = true;
    heard = Date.now();
    say("off", "Connecting");
    run();
  };
  const tellLoss = () => say("warn", trouble || `Reconnecting, data is ${Math.round((Date.now() - heard) / 1000)} s old`);

  setInterval(() => {
    if (over || paused || document.hidden) return;
    const quiet = Date.now() - heard;
    if (!lost && quiet < QUIET_MS) return;
    tellLoss();
    if (quiet > QUIET_MS * 2 && quiet % QUIET_MS < 1000) abort?.abort();
  }, 1000);
  document.addEventListener("visibilitychange", () => { if (document.hidden) abort?.abort(); else start(); });
  pause?.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.lastChild.textContent = paused ? "Go on" : "Pause";
    pause.querySelector("use")?.setAttribute("href", pause.querySelector("use").getAttribute("href").replace(/#.*/, paused ? "#play" : "#pause"));
    if (paused) { abort?.abort(); say("off", "Paused"); } else { say("off", "Connecting"); start(); }
  });
  fresh?.addEventListener("click", () => {
    fresh.hidden = true;
    if (lines) { lines.prepend(...waiting.reverse()); waiting = []; } else refresh().catch(() => {});
  });
  start();
}
