// One short message at a time, for those who see it and those who hear it.
const region = document.querySelector(".toasts");

export function toast(text, { action, onAction, lasts = 6000 } = {}) {
  if (!region) return { remove() {} };
  const element = document.createElement("div");
  element.className = "toast";
  const words = document.createElement("span");
  words.textContent = text;
  element.append(words);
  if (action) {
    const button = document.createElement("button");
    button.className = "button";
    button.type = "button";
    button.textContent = action;
    button.addEventListener("click", () => { element.remove(); onAction?.(); });
    element.append(button);
  }
  region.replaceChildren(element);
  if (lasts) setTimeout(() => element.remove(), lasts);
  return { remove: () => element.remove(), set text(value) { words.textContent = value; } };
}
