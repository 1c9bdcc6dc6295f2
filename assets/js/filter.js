// A form of filters: a chosen one is applied at once.
export function attach(form) {
  for (const select of form.querySelectorAll("select, [data-submit]")) {
    select.addEventListener("change", () => form.requestSubmit());
  }
  // An empty field says nothing in the address.
  form.addEventListener("formdata", (event) => {
    for (const name of ["q", "status"]) if (!event.formData.get(name)) event.formData.delete(name);
  });
}
