// Times are in the zone of who reads: as text, to who points at them, and in what a live page
// brings in; without script they are UTC and say so.
import { api, assert, eventually, root, story } from "./lib.mjs";

const zone = { timezoneId: "Asia/Tokyo", locale: "en-GB" };
const clock = (time, timeZone) => new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", timeZone }).format(time);
const stranger = () => fetch(`${root}/api/v2/token`, { headers: { Authorization: `Basic ${Buffer.from("stranger:wrong").toString("base64")}` } });
await api("POST", "/users", { username: "ends", password: "a pass phrase", status: 1, home_dir: "/tmp/sftpgo-web-ends", expiration_date: Date.UTC(2030, 0, 2, 20, 0, 7), permissions: { "/": ["*"] } });

await story(async ({ open }) => {
  const page = await open(zone);
  await page.signIn();
  await page.goto(`${root}/web/admin/events?sender=connection_failed`);
  await page.waitForSelector("[data-live-text]:has-text('Live')");
  await stranger();
  const shown = page.locator("[data-lines] tr:has-text('stranger') time").first();
  await shown.waitFor();
  // The day may just have changed: then the date is in front.
  const isLocal = async () => (await shown.textContent()).includes(clock(new Date(await shown.getAttribute("datetime")), zone.timezoneId));
  await eventually("the line that came has the time of here", isLocal);
  assert.match(await shown.getAttribute("title"), /GMT\+9|JST/);
  await page.reload();
  await eventually("and so has the line that is there", isLocal);
  await page.goto(`${root}/web/admin/users/ends?tab=effective`);
  const end = page.locator(".effective time");
  await eventually("an end is local", async () => /3 Jan 2030.*05:00:07/.test(await end.textContent()));
  page.wellBehaved();

  const plain = await open({ ...zone, javaScriptEnabled: false });
  await plain.signIn();
  await plain.goto(`${root}/web/admin/users/ends?tab=effective`);
  assert.equal(await plain.textContent(".effective time"), "2 Jan 2030, 20:00:07 UTC");
  await plain.goto(`${root}/web/admin/events?sender=connection_failed`);
  assert.match(await plain.textContent("[data-lines] time"), /\d\d:\d\d:\d\d UTC$/);
  plain.wellBehaved();
});
