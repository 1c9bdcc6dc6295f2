// A list whose rows can be chosen: <form data-module="select"> with checkboxes .pick, one
// for the page (data-page), perhaps one for all that match (data-all), and a bar [data-bulk]
// that tells what is chosen. Rows may come and go.
export function attach(form) {
  const bar = form.querySelector("[data-bulk]");
  if (!bar) return;
  const [said, names, verb, all] = ["selected", "names", "verb", "all"].map((name) => bar.querySelector(`[data-${name}]`));
  const rows = () => [...form.querySelectorAll(".pick")];
  let last = null;
  const show = () => {
    const picks = rows();
    const chosen = picks.filter((pick) => pick.checked);
    bar.hidden = !chosen.length && !all?.checked;
    said.textContent = all?.checked ? "All selected" : `${chosen.length} selected`;
    if (names) names.textContent = [...new Set(chosen.map((pick) => pick.dataset.name))].slice(0, 10).join(", ");
    if (verb) verb.textContent = `${verb.dataset.verb} ${chosen.length}…`;
    const page = form.querySelector("[data-page]");
    if (!page) return;
    page.hidden = !picks.length;
    page.checked = chosen.length > 0 && chosen.length === picks.length;
    page.indeterminate = chosen.length > 0 && !page.checked;
  };
  form.addEventListener("click", (event) => {
    const pick = event.target.closest(".pick");
    if (!pick) return;
    const picks = rows();
    const [from, to] = [picks.indexOf(last), picks.indexOf(pick)].sort((a, b) => a - b);
    if (event.shiftKey && from >= 0) for (const one of picks.slice(from, to + 1)) one.checked = pick.checked;
    last = pick;
  });
  form.addEventListener("change", ({ target }) => {
    const isPick = target.matches(".pick");
    if (target.matches("[data-page]") || (target === all && all.checked)) for (const pick of rows()) pick.checked = target.checked;
    // All that match are not those of a page of which one is left out.
    if (all && target !== all && rows().some((pick) => !pick.checked) && (isPick || target.matches("[data-page]"))) all.checked = false;
    show();
  });
  form.addEventListener("reset", () => setTimeout(show));
  form.closest("[data-module~=live]")?.addEventListener("rows", show);
  addEventListener("pageshow", show);
  show();
}
