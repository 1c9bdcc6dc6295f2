// A button that copies what it names: <button data-module="copy" data-copy="…">.
export function attach(button) {
  // Nobody sees it where it cannot work.
  if (!navigator.clipboard) return;
  button.dataset.ready = "";
  const label = button.querySelector("[data-label]") ?? button;
  const before = label.textContent;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    label.textContent = "Copied";
    setTimeout(() => { label.textContent = before; }, 1500);
  });
}
