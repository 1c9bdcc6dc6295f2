// Keys for every page. Ctrl K goes to the search for places, Ctrl S saves. Single letters
// count only outside of fields, where nothing is open above the page, and unless they are
// turned off in the profile.
import { show } from "./dialog.js";
import { areOn } from "./shortcuts.js";

export function attach() {
  document.addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey) {
      const wanted = key === "k" ? document.querySelector(".goto") : key === "s" ? document.querySelector("[data-save]") : null;
      if (wanted) { event.preventDefault(); wanted.click(); }
      return;
    }
    const isTyping = event.target.closest("input:not([type=checkbox], [type=radio]), select, textarea, [contenteditable]");
    if (isTyping || event.altKey || !areOn() || document.querySelector("dialog[open]")) return;
    if (event.key === "/") {
      const search = document.querySelector("main input[type=search]");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    } else if (event.key === "?") {
      show(`${document.body.dataset.root}/profile`, document.activeElement);
    } else if (event.key === "j" || event.key === "k") {
      move(event.key === "j" ? 1 : -1);
    } else if (event.key === "x") {
      event.target.closest("tr")?.querySelector(".pick")?.click();
    }
  });
}

// To the next or previous row of the list, by its link.
function move(step) {
  const rows = [...document.querySelectorAll("main .table tbody th a")];
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.closest("tr").contains(document.activeElement));
  rows[Math.min(rows.length - 1, Math.max(0, at + step))].focus();
}
