// Says that the session is about to end, and lets it be prolonged.
import { toast } from "./toast.js";

const WARN_SECS = 120;

export function attach(element) {
  let endsAt = Date.now() + Number(element.dataset.left) * 1000;
  if (!element.dataset.left) return;
  const root = document.body.dataset.root;
  let shown = null;
  const prolong = async () => {
    shown = null;
    const answer = await fetch(`${root}/session`, { headers: { "X-Fetched": "1", Accept: "application/json" } });
    if (!answer.ok) { location.reload(); return; }
    endsAt = Date.now() + (await answer.json()).left_secs * 1000;
  };
  setInterval(() => {
    const left = Math.round((endsAt - Date.now()) / 1000);
    if (left > WARN_SECS) return;
    if (left <= 0) {
      if (shown !== "ended") toast("Your session has ended.", { action: "Sign in", onAction: () => location.reload(), lasts: 0 });
      shown = "ended";
    } else if (!shown) {
      shown = toast(`Your session ends in ${left} s.`, { action: "Stay signed in", onAction: prolong, lasts: 0 });
    } else if (shown !== "ended") {
      shown.text = `Your session ends in ${left} s.`;
    }
  }, 1000);
}
