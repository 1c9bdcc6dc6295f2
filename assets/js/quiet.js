// Sends the form of a dialog without leaving the page: <form data-quiet>. What the server
// has to say of it appears as a short message; what it refuses stays in the dialog.
import { toast } from "./toast.js";

document.addEventListener("submit", async (event) => {
  const form = event.target;
  const dialog = form.closest("dialog");
  if (!dialog || !form.matches("[data-quiet]")) return;
  event.preventDefault();
  const button = event.submitter;
  if (button) button.disabled = true;
  try {
    const body = new URLSearchParams(new FormData(form, button?.name ? button : undefined));
    const answer = await fetch(form.action, { method: "POST", body, headers: { "X-Fetched": "1", Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const refused = page.querySelector("[data-dialog-body]");
    if (answer.status === 422 && refused) {
      dialog.replaceChildren(document.importNode(refused, true));
      dialog.querySelector("[aria-invalid]")?.focus();
      return;
    }
    dialog.close();
    const told = page.querySelector(answer.ok ? ".notice p" : "main p");
    toast(told?.textContent.trim() || "This was not done.", { lasts: answer.ok ? 6000 : 0 });
  } catch {
    toast("The server did not answer. It may or may not have been done.", { lasts: 0 });
  } finally {
    if (button) button.disabled = false;
  }
});

export function attach() {}
