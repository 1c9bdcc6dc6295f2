// A form of filters: a chosen one is applied at once.
export function attach(form) {
  // Nobody has to press what happens by itself.
  for (const button of form.querySelectorAll("[data-apply]")) button.hidden = true;
  for (const select of form.querySelectorAll("select, [data-submit]")) {
    select.addEventListener("change", () => form.requestSubmit());
  }
  // An empty field says nothing in the address.
  form.addEventListener("formdata", (event) => {
    const fields = event.formData;
    for (const name of new Set(fields.keys())) {
      if (fields.getAll(name).length < 2 && !fields.get(name)) fields.delete(name);
    }
    // Nor does a choice of many that is as the page has it by itself.
    const boxes = [...form.querySelectorAll("[data-default]")];
    if (!boxes.length) return;
    const isDefault = boxes.every((box) => box.checked === (box.dataset.default === "1"));
    const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
    fields.delete(boxes[0].name);
    if (!isDefault) fields.set(boxes[0].name, chosen.join());
  });
}
