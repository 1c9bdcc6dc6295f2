// Lists of rows in a form: one more, one less, and one found among many. Without script the
// server adds empty rows, and a row without content is dropped.
const MOST_WITHOUT_FILTER = 12;

const fields = (row) => [...row.querySelectorAll("input, textarea")];
const isBlank = (row) => fields(row).every((field) => (field.type === "checkbox" ? !field.checked : !field.value));
const empty = (row) => {
  for (const field of fields(row)) {
    if (field.type === "checkbox") field.checked = false; else field.value = "";
  }
};

function name(row) {
  const summary = row.querySelector(".fold-cell summary");
  if (!summary) return;
  const typed = [...row.querySelectorAll("td:not(.short) > input.input")].map((field) => field.value.trim());
  summary.textContent = typed.filter(Boolean).join(" at ") || "New row";
}

// A row like the others with nothing in it.
function blank(model, number) {
  const row = model.cloneNode(true);
  for (const field of row.querySelectorAll("[name]")) {
    field.name = field.name.replace(/\.\d+\./, `.${number}.`);
    if (field.id) field.id = field.name;
    field.removeAttribute("aria-invalid");
  }
  empty(row);
  for (const field of fields(row)) { field.defaultChecked = false; field.defaultValue = field.type === "checkbox" ? field.value : ""; }
  for (const error of row.querySelectorAll(".error")) error.remove();
  for (const details of row.querySelectorAll("details")) details.open = true;
  row.hidden = false;
  row.classList.remove("not-found");
  delete row.dataset.rowLabel;
  name(row);
  return row;
}

// A field above a long list, that leaves of it what has a text.
function filter(rows) {
  const count = [...rows.children].filter((row) => !isBlank(row)).length;
  if (count <= MOST_WITHOUT_FILTER) return;
  const field = Object.assign(document.createElement("input"), { type: "search", className: "input", placeholder: `Find among ${count} rows`, ariaLabel: `Find among ${count} rows` });
  const told = Object.assign(document.createElement("span"), { className: "muted" });
  told.setAttribute("role", "status");
  const line = Object.assign(document.createElement("div"), { className: "among" });
  line.append(field, told);
  rows.closest(".table-wrap").before(line);
  const apply = () => {
    const wanted = field.value.trim().toLowerCase();
    let found = 0;
    for (const row of rows.children) {
      const isFound = !wanted || fields(row).some((one) => one.type !== "checkbox" && one.value.toLowerCase().includes(wanted));
      found += isFound ? 1 : 0;
      row.classList.toggle("not-found", !isFound && !isBlank(row));
    }
    told.textContent = wanted ? `${found} found` : "";
  };
  // What is typed here is no change of the form.
  for (const type of ["input", "change"]) field.addEventListener(type, (event) => { event.stopPropagation(); apply(); });
  field.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
}

export function attach(form) {
  for (const rows of form.querySelectorAll("[data-rows]")) {
    const add = form.querySelector(`[data-add][value="${rows.dataset.rows}"]`);
    const model = rows.lastElementChild.cloneNode(true);
    // Rows elsewhere may have the first numbers of the list.
    const numbers = [...form.querySelectorAll(`[name^="${rows.dataset.rows}."]`)].map((field) => Number(field.name.split(".")[1]));
    let next = Math.max(-1, ...numbers) + 1;
    const removable = (row) => {
      const remove = row.querySelector("[data-remove]");
      if (!remove) return;
      remove.hidden = false;
      remove.addEventListener("click", () => {
        empty(row);
        row.hidden = true;
        add.focus();
        form.dispatchEvent(new Event("change"));
      });
    };
    for (const row of rows.children) removable(row);
    // Where an empty row looks like one that says something, it comes when it is asked for.
    if ("onDemand" in rows.dataset && !("unsaved" in form.dataset) && rows.children.length > 1 && isBlank(rows.lastElementChild)) rows.lastElementChild.remove();
    filter(rows);
    rows.addEventListener("input", (event) => { const row = event.target.closest("tr"); if (row) name(row); });
    add?.addEventListener("click", (event) => {
      event.preventDefault();
      const row = blank(model, next);
      next += 1;
      rows.append(row);
      removable(row);
      row.querySelector(".input, .textarea, .select").focus();
    });
  }
  form.addEventListener("restored", () => { for (const row of form.querySelectorAll("[data-rows] > tr")) name(row); });
}
