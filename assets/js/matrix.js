// The matrix of permissions: a preset ticks its cells, a cell ends the preset. Changed
// cells are marked.
export function attach(table) {
  const ticks = (row) => [...row.querySelectorAll("input[type=checkbox]")];
  const preset = (row) => row.querySelector("[data-preset]");
  const mark = (row) => {
    for (const box of ticks(row)) box.closest("td").classList.toggle("changed", box.checked !== box.defaultChecked);
  };
  table.addEventListener("change", (event) => {
    const row = event.target.closest("tr");
    if (!row) return;
    if (event.target === preset(row)) {
      const wanted = event.target.selectedOptions[0].dataset.ticks?.split(" ");
      if (wanted) for (const box of ticks(row)) box.checked = wanted.includes(box.value);
    } else if (event.target.type === "checkbox") {
      preset(row).value = "custom";
    }
    mark(row);
  });
  table.closest("form")?.addEventListener("restored", () => table.querySelectorAll("[data-rows] tr").forEach(mark));
}
