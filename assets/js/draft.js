// What is typed into a long form is kept until it is saved or discarded, so that a session
// that ended, an error or a wrong click loses nothing: <form data-module="draft">. It stays
// in this tab of the browser, for this account, without passwords and other secrets, and
// comes back only when it is asked for.
import { ready } from "./app.js";

const PREFIX = "draft:";
const LONGEST_MS = 12 * 3600 * 1000;
const account = document.body.dataset.admin;
let isOver = false;

const keys = () => Object.keys(sessionStorage).filter((key) => key.startsWith(PREFIX));
const read = (key) => { try { return JSON.parse(sessionStorage.getItem(key)); } catch { return null; } };
const write = (key, draft) => { try { sessionStorage.setItem(key, JSON.stringify(draft)); } catch { /* full: it is not kept */ } };
const forget = (key) => sessionStorage.removeItem(key);

// The first page after a form was sent shows whether it was saved.
function settle() {
  const isSaved = document.querySelector("main > .notice.ok, [data-saved]");
  for (const key of keys()) {
    const draft = read(key);
    const isOurs = account === undefined || draft?.account === account;
    if (!draft || !isOurs || (draft.sent && isSaved) || Date.now() - draft.at > LONGEST_MS) forget(key);
    else if (draft.sent) {
      // The way back leads over the sign-in, or from a page that tells an error.
      const next = document.querySelector("body.alone input[name=next]");
      if (next) { next.value = draft.page; continue; }
      write(key, { ...draft, sent: false });
      if (account === undefined) lead(draft.page);
    }
  }
}

// Whoever signs in again reads that nothing is lost.
function tellKept() {
  const told = document.querySelector("[data-draft-kept]");
  if (told && keys().length) told.hidden = false;
}

function lead(page) {
  const again = document.querySelector("body.alone main a.primary");
  if (!again) return;
  again.href = page;
  again.textContent = "Back to the form";
  again.closest("p").before(Object.assign(document.createElement("p"), { textContent: "What you typed is kept." }));
}

settle();
tellKept();
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[action$='/logout']")) return;
  isOver = true;
  keys().forEach(forget);
});

const isSecret = (field) => field.type === "password" || "secret" in field.dataset || /password|one-time-code/.test(field.autocomplete);
const isKept = (field) => field.name && !field.name.startsWith("_") && !["hidden", "submit", "button", "file"].includes(field.type) && !isSecret(field) && !("plain" in field.dataset);
const isTicked = (field) => field.type === "checkbox" || field.type === "radio";
const value = (field) => isTicked(field) ? field.checked : field.value;
const isChanged = (field) => {
  if (isTicked(field)) return field.checked !== field.defaultChecked;
  if (field instanceof HTMLSelectElement) return field.value !== ([...field.options].find((one) => one.defaultSelected) ?? field.options[0])?.value;
  return field.value !== field.defaultValue;
};
const put = (field, value) => { if (isTicked(field)) field.checked = value === true; else field.value = value; };
// White space at the ends is what the server does not keep.
const plain = (content) => JSON.stringify(content, (_, value) => typeof value === "string" ? value.trim() : value);

// The parts of a form: a list of rows is one part, since its rows have no names; every
// other part is a field, or the boxes of one name.
function parts(form) {
  const found = new Map();
  for (const field of form.elements) {
    if (!isKept(field)) continue;
    const rows = field.closest(".edit tbody");
    const key = rows ? `${rows.dataset.rows ?? rows.closest("[id]").id}[]` : field.name;
    if (!found.has(key)) found.set(key, { rows, fields: [] });
    found.get(key).fields.push(field);
  }
  return found;
}
const cells = (row) => [...row.querySelectorAll("input, select, textarea")].filter(isKept);
const lines = (rows) => [...rows.children].filter((row) => !row.hidden);
const isBlank = (row) => cells(row).every((field) => field instanceof HTMLSelectElement || value(field) === "" || value(field) === false);
// Rows without content say nothing: there are more or fewer of them as need be.
const content = ({ rows, fields }) => rows ? lines(rows).filter((row) => !isBlank(row)).map((row) => cells(row).map(value)) : fields.map(value);

function fill(form, { rows, fields }, wanted) {
  if (!rows) { fields.forEach((field, at) => { if (at < wanted.length) put(field, wanted[at]); }); return; }
  const add = form.querySelector(`[data-add][value="${rows.dataset.rows}"]`);
  for (let tries = 0; lines(rows).length < wanted.length && tries < 2000; tries += 1) {
    if (add) add.click(); else rows.append(rows.lastElementChild.cloneNode(true));
  }
  lines(rows).forEach((row, at) => cells(row).forEach((field, column) => {
    if (wanted[at]) put(field, wanted[at][column]);
    else if (!(field instanceof HTMLSelectElement)) put(field, "");
  }));
}

// So that a draft for what has changed since is told apart.
const stamp = (form) => {
  const text = ["base", "updated_at", "seen"].map((name) => form.elements[name]?.value ?? "").join();
  let sum = 0;
  for (const letter of text) sum = (sum * 31 + letter.charCodeAt(0)) | 0;
  return sum;
};

export function attach(form) {
  // By attribute: a field named "action" hides the property.
  const keyOf = (tab) => `${PREFIX}${form.getAttribute("action").split("#")[0]}?${tab}`;
  const key = keyOf(form.elements.tab?.value ?? "");
  for (const tab of document.querySelectorAll(".tabs [data-tab]:not([aria-current])")) {
    if (!read(keyOf(tab.dataset.tab))) continue;
    tab.classList.add("changed");
    tab.title = "What you typed here is kept, but not saved";
  }
  const found = read(key);
  let kept = found?.parts ?? {};
  // Until it is clear whether the form shows what is kept, and then until that is answered. An
  // answer that has not saved shows what was typed last: there is nothing to ask.
  let isPending = Boolean(found) && !("unsaved" in form.dataset);
  const typed = () => {
    const all = {};
    for (const [name, part] of parts(form)) {
      if (part.fields.some(isChanged)) all[name] = content(part);
    }
    return all;
  };
  const keep = (sent = false) => {
    if (isOver) return;
    const there = parts(form);
    const now = Object.keys(kept).filter((name) => there.has(name)).map((name) => [name, content(there.get(name))]);
    // What is sent without an answer is not what was kept before.
    const all = { ...(isPending ? (sent ? {} : kept) : Object.fromEntries(now)), ...typed() };
    if (!Object.keys(all).length) { forget(key); return; }
    const hasSecret = [...form.elements].some((field) => field.name && isSecret(field) && field.value !== field.defaultValue);
    const told = isPending ? { at: found.at, stamp: found.stamp, hasSecret: found.hasSecret || hasSecret } : { at: Date.now(), stamp: stamp(form), hasSecret };
    form.querySelector("[data-kept]")?.removeAttribute("hidden");
    write(key, { ...told, account, page: location.pathname + location.search, sent, parts: all });
  };
  let timer = 0;
  const later = () => { clearTimeout(timer); timer = setTimeout(() => { timer = 0; keep(); }, 300); };
  let offer = null;

  const differs = () => {
    const there = parts(form);
    return Object.entries(kept).some(([name, wanted]) => there.has(name) && plain(content(there.get(name))) !== plain(wanted));
  };
  function restore() {
    const own = typed();
    const there = parts(form);
    for (const [name, wanted] of Object.entries(kept)) if (there.has(name) && !(name in own)) fill(form, there.get(name), wanted);
    form.dispatchEvent(new Event("restored"));
    form.dispatchEvent(new Event("change"));
    answered();
  }
  function discard() {
    kept = {};
    answered();
  }
  function answered() {
    isPending = false;
    keep();
    offer.remove();
    form.querySelector("input:not([type=hidden]), textarea, select")?.focus();
  }
  function ask() {
    const at = new Date(found.at);
    const isToday = at.toDateString() === new Date().toDateString();
    const time = at.toLocaleString(undefined, isToday ? { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } : { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" });
    const button = (text, kind, act) => {
      const made = Object.assign(document.createElement("button"), { type: "button", className: `button ${kind}`, textContent: text });
      made.addEventListener("click", act);
      return made;
    };
    offer = Object.assign(document.createElement("div"), { className: "notice offer" });
    offer.setAttribute("role", "status");
    const words = Object.assign(document.createElement("p"), { className: "grow", textContent: `Restore what you typed at ${time}?` });
    if (found.stamp !== stamp(form)) words.textContent += " It was changed here since then; look at it before you save.";
    if (found.hasSecret) words.textContent += " Passwords were not kept.";
    offer.append(words, button("Restore", "", restore), button("Discard", "quiet", discard));
    form.before(offer);
  }

  form.addEventListener("input", later);
  form.addEventListener("change", later);
  form.addEventListener("submit", () => { clearTimeout(timer); timer = 0; keep(true); });
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-discard]")) return;
    isOver = true;
    forget(key);
  });
  addEventListener("pagehide", () => { if (timer) keep(); });
  // After the modules that put values into the reader's zone.
  ready.then(() => { isPending &&= differs(); if (isPending) ask(); });
}
