// A button that copies what it names: <button data-module="copy" data-copy="…">.
export function attach(button) {
  if (!navigator.clipboard) { button.hidden = true; return; }
  const label = button.querySelector("[data-label]") ?? button;
  const before = label.textContent;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    label.textContent = "Copied";
    setTimeout(() => { label.textContent = before; }, 1500);
  });
}
