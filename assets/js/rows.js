// Lists of rows in a form: one more, one less. Without script the server adds empty rows,
// and a row without content is dropped.
const clear = (row) => {
  for (const field of row.querySelectorAll("input, textarea")) {
    if (field.type === "checkbox") field.checked = field.defaultChecked = false;
    else field.value = field.defaultValue = "";
    field.removeAttribute("aria-invalid");
  }
  for (const error of row.querySelectorAll(".error")) error.remove();
  const about = row.querySelector("[data-fixed]");
  if (about) about.textContent = "New";
  delete row.dataset.rowLabel;
};

export function attach(form) {
  for (const rows of form.querySelectorAll("[data-rows]")) {
    const section = rows.dataset.rows;
    const add = form.querySelector(`[data-add][value="${section}"]`);
    const removable = (row) => {
      const remove = row.querySelector("[data-remove]");
      if (!remove) return;
      remove.hidden = false;
      remove.addEventListener("click", () => {
        for (const field of row.querySelectorAll("input, textarea")) {
          if (field.type === "checkbox") field.checked = false; else field.value = "";
        }
        row.hidden = true;
        add.focus();
        form.dispatchEvent(new Event("change"));
      });
    };
    for (const row of rows.children) removable(row);
    let next = rows.children.length;
    add?.addEventListener("click", (event) => {
      event.preventDefault();
      const row = rows.lastElementChild.cloneNode(true);
      for (const field of row.querySelectorAll("[name]")) {
        field.name = field.name.replace(/\.\d+\./, `.${next}.`);
        if (field.id) field.id = field.name;
      }
      next += 1;
      row.hidden = false;
      clear(row);
      rows.append(row);
      removable(row);
      row.querySelector("input, textarea, select").focus();
    });
  }
}
