// Shows the time of <time> in the reader's zone: the absolute one to who points at it, and as
// its text where data-zoned says so: "moment" all of it, "clock" without the date of today.
const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long", hourCycle: "h23" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });
const isToday = (time) => time.toDateString() === new Date().toDateString();

function show(element) {
  const time = new Date(element.dateTime);
  if (Number.isNaN(time.getTime())) return;
  const { zoned } = element.dataset;
  element.title = absolute.format(time);
  if (!zoned) return;
  const text = zoned === "clock" && isToday(time) ? clock.format(time) : element.title;
  if (element.textContent !== text) element.textContent = text;
}

function showAll(root) {
  if (!root.querySelectorAll) return;
  if (root.matches?.("time[datetime]")) show(root);
  for (const element of root.querySelectorAll("time[datetime]")) show(element);
}

export function attach(root) {
  showAll(root);
  // Live pages bring times in, and change them.
  new MutationObserver((changes) => {
    for (const { target, addedNodes } of changes) {
      if (target.matches?.("time[datetime]")) show(target);
      else addedNodes.forEach(showAll);
    }
  }).observe(root, { subtree: true, childList: true, attributes: true, attributeFilter: ["datetime"] });
}
