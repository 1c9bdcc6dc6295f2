// Long work in the browser: it shows how far it is, is left and found again, and can be stopped.
import { admin, api, assert, eventually, root, story } from "./lib.mjs";

// So many that even a fast machine needs longer than a form waits.
const COUNT = 6000;
const users = Array.from({ length: COUNT }, (_, at) => ({
  username: `user${String(at).padStart(4, "0")}`, status: 1, home_dir: `/tmp/sftpgo-web-tasks/${at}`, permissions: { "/": ["*"] },
}));
await api("POST", "/loaddata", { version: 17, users });
const enabled = async () => COUNT - (await api("GET", "/summary/users")).disabled;

await story(async ({ open }) => {
  const page = await open();
  await page.signIn();
  await page.goto(`${root}/web/admin/bulk/users?action=disable&all=1`);
  await page.click("button:has-text('Disable')");
  await page.waitForURL("**/tasks/*");
  const task = page.url();
  assert.match(await page.textContent("h1"), new RegExp(`Disable ${COUNT} users`));

  // Left, and found again by the navigation, which counts it.
  await page.goto(`${root}/web/admin/users`);
  assert.equal((await page.textContent(".nav [data-count=tasks]")).trim(), "1");
  await page.click(".nav a:has-text('Tasks')");
  await page.click("main a:has-text('Disable')");
  assert.equal(page.url(), task);
  const far = async () => Number(await page.getAttribute("progress", "value"));
  const before = await far();
  await eventually("the page shows more of it by itself", async () => (await far()) > before);

  // Stopped: what is done stays, what is not is left alone.
  await page.click("button:has-text('Stop the task')");
  await page.waitForSelector(".notice:has-text('stopped after')");
  const left = await enabled();
  assert.ok(left > 0 && left < COUNT, `${left} are enabled`);
  await page.goto(`${root}/web/admin/tasks`);
  assert.match(await page.textContent("main"), /stopped after/);
  page.wellBehaved();
});

// Without script the page loads itself anew, and the end is told as well.
await story(async ({ open }) => {
  const page = await open({ javaScriptEnabled: false });
  await page.signIn(admin.username, admin.password);
  await page.goto(`${root}/web/admin/bulk/users?action=disable&all=1`);
  await page.click("button:has-text('Disable')");
  await page.waitForURL("**/tasks/*");
  await page.waitForSelector(".notice:has-text('All 6,000 are done.')", { timeout: 120_000 });
  assert.equal(await enabled(), 0);
});
