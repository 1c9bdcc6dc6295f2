// Whether single letters act in this browser: <div data-module="shortcuts"> with the box
// that decides. Whoever speaks to the computer, or hits keys by mistake, turns them off.
const NAME = "shortcuts";

export function areOn() {
  try { return localStorage.getItem(NAME) !== "off"; } catch { return true; }
}

export function attach(element) {
  const box = element.querySelector("input");
  // Without script there are no such keys.
  element.closest("[hidden]")?.removeAttribute("hidden");
  box.checked = areOn();
  box.addEventListener("change", () => {
    try { localStorage.setItem(NAME, box.checked ? "on" : "off"); } catch { box.checked = true; }
  });
}
