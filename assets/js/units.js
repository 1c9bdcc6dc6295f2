// Times in the reader's zone, sizes with the unit that was typed. What is sent is what a
// page without script sends: UTC, and a number with its unit.
const local = (utc) => {
  const time = new Date(`${utc}Z`);
  if (!utc || Number.isNaN(time.getTime())) return utc;
  const at = new Date(time.getTime() - time.getTimezoneOffset() * 60000).toISOString();
  return at.slice(0, time.getUTCSeconds() ? 19 : 16);
};

export function attach(element) {
  const time = element.querySelector("[data-utc]");
  if (time) {
    const utc = time.value;
    time.value = time.defaultValue = local(utc);
    const shown = time.value;
    const zone = element.querySelector("[data-zone]");
    if (zone) zone.textContent = `Your time zone, ${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
    time.form?.addEventListener("formdata", (event) => {
      const typed = new Date(time.value);
      // What nobody has changed is sent as it came.
      const sent = time.value === shown ? utc
        : Number.isNaN(typed.getTime()) ? time.value
        : typed.toISOString().slice(0, typed.getUTCSeconds() ? 19 : 16);
      event.formData.set(time.name, sent);
    });
  }
  const size = element.querySelector("[data-size]");
  const unit = size && element.querySelector("select");
  size?.addEventListener("change", () => {
    const typed = size.value.trim().match(/^([0-9., _]+?)\s*([a-z]+)$/i);
    const own = typed && [...unit.options].find((option) => option.value.toLowerCase() === typed[2].toLowerCase());
    if (own) { size.value = typed[1]; unit.value = own.value; unit.dispatchEvent(new Event("change", { bubbles: true })); }
  });
}
