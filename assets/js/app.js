// Attaches the modules that a page names: <div data-module="live filter">.
const base = new URL(".", import.meta.url);

// Resolves once all of them are attached, or could not be.
export function attachAll(root) {
  const attached = [];
  const elements = [...root.querySelectorAll("[data-module]")];
  if (root instanceof Element && root.matches("[data-module]")) elements.unshift(root);
  for (const element of elements) {
    for (const name of element.dataset.module.split(" ")) {
      if (!/^[a-z]+$/.test(name)) continue;
      attached.push(import(new URL(`${name}.js`, base)).then((module) => module.attach(element)));
    }
  }
  return Promise.allSettled(attached);
}

export const ready = attachAll(document);
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
import("./dialog.js").then((module) => module.attach(document));
import("./quiet.js");
import("./times.js").then((module) => module.attach(document));
// What a form that was sent has become of, and what is kept of it.
if (sessionStorage.length) import("./draft.js");
