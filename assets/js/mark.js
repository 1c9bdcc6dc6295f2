// Rows that are ticked: how many, ranges with Shift, and what can be done with them.
export function attach(form) {
  const picks = [...form.querySelectorAll(".pick")];
  const page = form.querySelector("[data-page]");
  const bar = form.querySelector("[data-bulk]");
  const all = form.querySelector("[data-all]");
  if (!bar) return;
  const label = bar.querySelector("[data-selected]");
  let last = null;
  page.hidden = false;
  const show = () => {
    const ticked = picks.filter((pick) => pick.checked).length;
    const any = ticked > 0 || all?.checked;
    bar.hidden = !any;
    label.textContent = all?.checked ? "All selected" : `${ticked} selected`;
    page.checked = ticked === picks.length;
    page.indeterminate = ticked > 0 && ticked < picks.length;
  };
  form.addEventListener("click", (event) => {
    const at = picks.indexOf(event.target);
    if (at < 0) return;
    if (event.shiftKey && last !== null) {
      const [from, to] = at < last ? [at, last] : [last, at];
      for (const pick of picks.slice(from, to + 1)) pick.checked = event.target.checked;
    }
    last = at;
  });
  form.addEventListener("change", (event) => {
    if (event.target === page) for (const pick of picks) pick.checked = page.checked;
    if (event.target === all && all.checked) for (const pick of picks) pick.checked = true;
    if (picks.includes(event.target) && !event.target.checked && all) all.checked = false;
    show();
  });
  addEventListener("pageshow", show);
  show();
}
