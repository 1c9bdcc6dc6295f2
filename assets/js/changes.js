// What a form would change: a list beside it, and a mark at its tab.
import { ready } from "./app.js";

const texts = (field) => {
  if (field instanceof HTMLSelectElement) {
    const before = [...field.options].find((option) => option.defaultSelected) ?? field.options[0];
    return [before?.text ?? "", field.selectedOptions[0]?.text ?? ""];
  }
  if (field.type === "password") return ["", field.value ? "a new one" : ""];
  if (field.type === "checkbox") return [field.defaultChecked ? "on" : "off", field.checked ? "on" : "off"];
  if (field.type === "datetime-local") return [field.defaultValue, field.value].map((at) => at.replace("T", " "));
  return [field.defaultValue, field.value];
};

const label = (field) => {
  const row = field.closest("[data-field]");
  if (row) return row.querySelector("label").textContent;
  const section = field.closest(".form-section")?.querySelector("h2")?.firstChild.textContent.trim() ?? "";
  const line = field.closest("tr");
  const name = line?.querySelector("input:not([type=checkbox], [type=hidden])")?.value;
  const own = field.getAttribute("aria-label") ?? field.closest("label")?.textContent ?? "";
  return [name || section, own].filter(Boolean).join(", ");
};

export function attach(form) {
  const list = form.querySelector("[data-changes]");
  const title = form.querySelector("[data-changes-title]");
  const tab = document.querySelector(".tabs [aria-current]");
  if (!list) return;
  const show = () => {
    const items = [];
    const radios = new Set();
    for (const field of form.elements) {
      if (!field.name || field.type === "hidden" || field.type === "submit" || "plain" in field.dataset || "preset" in field.dataset) continue;
      let [before, now] = ["", ""];
      if (field.type === "radio") {
        if (radios.has(field.name)) continue;
        radios.add(field.name);
        const all = [...form.elements[field.name]];
        const text = (radio) => radio?.closest("label").textContent.trim() ?? "";
        [before, now] = [text(all.find((radio) => radio.defaultChecked)), text(all.find((radio) => radio.checked))];
      } else {
        [before, now] = texts(field);
      }
      if (before === now) continue;
      // A kind chosen in a row that is not filled in changes nothing.
      const key = field.closest("tr")?.querySelector("input:not([type=checkbox]), textarea");
      if (field instanceof HTMLSelectElement && key && !key.value && !key.defaultValue) continue;
      const item = document.createElement("li");
      const name = document.createElement("strong");
      name.textContent = label(field);
      const del = document.createElement("del");
      del.textContent = before || "nothing";
      const ins = document.createElement("ins");
      ins.textContent = now || "nothing";
      const change = document.createElement("div");
      change.append(del, " → ", ins);
      item.append(name, change);
      items.push(item);
    }
    const more = items.length - 12;
    list.replaceChildren(...items.slice(0, 12));
    if (more > 0) list.append(Object.assign(document.createElement("li"), { textContent: `and ${more} more` }));
    title.textContent = items.length ? `${items.length} unsaved ${items.length === 1 ? "change" : "changes"}` : "unsaved" in form.dataset ? "Not saved yet" : "No changes";
    tab?.classList.toggle("changed", items.length > 0);
  };
  form.addEventListener("input", show);
  form.addEventListener("change", show);
  show();
  // After the modules that put values into the reader's zone.
  ready.then(show);
}
