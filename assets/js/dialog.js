// Opens pages that ask a question as a dialog: <a data-dialog href="…"> and
// <button data-dialog formaction="…">. Without script they are pages of their own.
import { attachAll } from "./app.js";

let dialog = null;

// Shows what the page at `url` asks or tells; the focus goes back to `opener`.
export async function show(url, opener) {
  const answer = await fetch(url, { headers: { "X-Fetched": "1", Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const body = page.querySelector("[data-dialog-body]");
  if (!answer.ok || !body) { location.assign(url); return; }
  dialog ??= document.body.appendChild(document.createElement("dialog"));
  dialog.replaceChildren(document.importNode(body, true));
  const heading = dialog.querySelector("h1, h2");
  if (heading) { heading.id ||= "dialog-title"; dialog.setAttribute("aria-labelledby", heading.id); }
  for (const close of dialog.querySelectorAll("[data-close]")) {
    close.addEventListener("click", (event) => { event.preventDefault(); dialog.close(); });
  }
  dialog.addEventListener("close", () => opener?.focus(), { once: true });
  dialog.showModal();
  (dialog.querySelector("[autofocus]") ?? heading)?.focus();
  attachAll(dialog);
}

export function attach(root) {
  root.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (!opener || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    let url = opener.href;
    if (opener.form) {
      if (!opener.form.reportValidity()) { event.preventDefault(); return; }
      const fields = new FormData(opener.form, opener);
      fields.delete("_csrf");
      // By attribute: the property of a button falls back to the page, and a field named
      // "action" hides that of the form.
      const action = opener.getAttribute("formaction") ?? opener.form.getAttribute("action");
      url = `${action.split("?")[0]}?${new URLSearchParams(fields)}`;
    }
    event.preventDefault();
    show(url, opener);
  });
}
