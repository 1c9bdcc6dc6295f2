// Keeps a part of the page new while it moves: <div id="…" data-module="reload">.
export function attach(element) {
  const timer = setInterval(async () => {
    if (document.hidden) return;
    const answer = await fetch(location.href, { headers: { "X-Fetched": "1", "X-Background": "1", Accept: "text/html" } }).catch(() => null);
    if (!answer?.ok) { if (answer?.status === 401) clearInterval(timer); return; }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById(element.id);
    if (!fresh) return;
    element.replaceChildren(...document.importNode(fresh, true).childNodes);
    if (!fresh.dataset.module) clearInterval(timer);
  }, 3000);
}
