// A list whose rows can be chosen: <form data-module="select"> with checkboxes .pick, one
// that has data-all, and a bar [data-bulk] that tells what is chosen.
export function attach(form) {
  const bar = form.querySelector("[data-bulk]");
  if (!bar) return;
  const [said, names] = ["data-selected", "data-names"].map((name) => bar.querySelector(`[${name}]`));
  const verb = bar.querySelector("[data-verb]");
  let last = null;
  const show = () => {
    const picks = [...form.querySelectorAll(".pick")];
    const chosen = picks.filter((pick) => pick.checked);
    bar.hidden = !chosen.length;
    said.textContent = `${chosen.length} selected`;
    if (names) names.textContent = [...new Set(chosen.map((pick) => pick.dataset.name))].slice(0, 10).join(", ");
    if (verb) verb.textContent = `${verb.dataset.verb} ${chosen.length}…`;
    const all = form.querySelector("[data-all]");
    if (all) {
      all.checked = chosen.length > 0 && chosen.length === picks.length;
      all.indeterminate = chosen.length > 0 && !all.checked;
    }
  };
  form.addEventListener("click", (event) => {
    const pick = event.target.closest(".pick");
    if (!pick) return;
    const picks = [...form.querySelectorAll(".pick")];
    const [from, to] = [picks.indexOf(last), picks.indexOf(pick)].sort((a, b) => a - b);
    if (event.shiftKey && from >= 0) for (const one of picks.slice(from, to + 1)) one.checked = pick.checked;
    last = pick;
  });
  form.addEventListener("change", (event) => {
    if (event.target.matches("[data-all]")) for (const pick of form.querySelectorAll(".pick")) pick.checked = event.target.checked;
    show();
  });
  form.addEventListener("reset", () => setTimeout(show));
  form.closest("[data-module~=live]")?.addEventListener("rows", show);
  show();
}
