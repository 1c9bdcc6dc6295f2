// The life of users in the browser: made, changed, disabled and deleted, one by one, many at
// once, and with keys alone; a change that somebody else has overtaken is told, not lost.
import { admin, api, assert, eventually, root, story } from "./lib.mjs";

const users = `${root}/web/admin/users`;
const stored = (name) => api("GET", `/users/${name}`);

await story(async ({ open }) => {
  const page = await open({ expected: [409, 422] });
  await page.signIn();

  // A mistake keeps what was typed.
  await page.goto(`${root}/web/admin/new-user`);
  await page.fill("#username", "ann");
  await page.fill("#password", "a pass phrase");
  await page.fill("#home_dir", "not/absolute");
  await page.fill("#quota_size", "1.5 GB");
  await page.click("button[data-save]");
  assert.match(await page.textContent(".error-summary"), /home|absolute/i);
  assert.equal(await page.inputValue("#username"), "ann");
  await page.fill("#password", "a pass phrase");
  await page.fill("#home_dir", "/tmp/sftpgo-web-ann");
  await page.click("button[data-save]");
  await page.waitForURL(`${users}/ann*`);
  assert.equal((await stored("ann")).quota_size, 1_500_000_000, "sizes are stored exactly");

  // One tab, one change; the list of changes says so before it is saved.
  await page.goto(`${users}/ann?tab=profile`);
  await page.fill("#description", "<i>Ann</i> of Finance");
  await page.waitForSelector("[data-changes] li");
  await page.click(".rail button[data-save]");
  await page.waitForSelector(".notice");
  const ann = await stored("ann");
  assert.equal(ann.description, "<i>Ann</i> of Finance");
  assert.equal(ann.quota_size, 1_500_000_000, "other tabs keep what they have");

  // Somebody else is quicker.
  await page.goto(`${users}/ann?tab=profile`);
  await api("PUT", "/users/ann", { ...ann, description: "changed by a script" });
  await page.fill("#description", "changed in the page");
  await page.click(".rail button[data-save]");
  assert.match(await page.textContent("main"), /Somebody else has changed/);
  assert.equal(await page.inputValue("#description"), "changed in the page");
  assert.equal((await stored("ann")).description, "changed by a script");

  // Disabled by a dialog that can be left again with Escape.
  await page.goto(`${users}/ann`);
  await page.click("a:has-text('Disable…')");
  await page.waitForSelector("dialog[open]");
  await page.keyboard.press("Escape");
  assert.equal((await stored("ann")).status, 1);
  await page.click("a:has-text('Disable…')");
  await page.click("dialog[open] button.primary");
  await eventually("ann is disabled", async () => (await stored("ann")).status === 0);

  // Twelve more, found by the search, and deleted at once: that many have to be typed.
  for (let at = 0; at < 12; at += 1) {
    await api("POST", "/users", { username: `bulk-${at}`, password: "a pass phrase", status: 1, home_dir: `/tmp/sftpgo-web-bulk-${at}`, permissions: { "/": ["*"] } });
  }
  await page.goto(users);
  await page.fill("main input[type=search]", "bulk-");
  await page.keyboard.press("Enter");
  await eventually("only they are shown", async () => (await page.locator(".table .pick").count()) === 12);
  await page.click("[data-page]");
  await page.click("button[value=disable]");
  await page.click("dialog[open] button.primary");
  await eventually("all are disabled", async () => (await stored("bulk-11")).status === 0);
  await page.goto(`${users}?q=bulk-`);
  await page.click("[data-page]");
  await page.click("button[value=delete]");
  await page.waitForSelector("dialog[open] #typed");
  assert.match(await page.textContent("dialog[open]"), /bulk-0.*and 2 more/s, "it names some");
  await page.fill("#typed", "12");
  await page.click("dialog[open] button.final");
  await eventually("they are gone", async () => !JSON.stringify(await api("GET", "/users")).includes("bulk-"));
  assert.equal((await stored("ann")).status, 0, "others are left alone");
  page.wellBehaved();
});

// What is chosen stands in the address, and nothing else.
await story(async ({ open }) => {
  const page = await open();
  await page.signIn();
  await page.goto(users);
  await page.waitForSelector("[data-apply]", { state: "hidden" });
  await page.selectOption("#status-filter", "disabled");
  await page.waitForURL(`${users}?status=disabled`);
  await page.selectOption("#per", "25");
  await page.waitForURL(`${users}?status=disabled&per=25`);
  await page.click("summary:has-text('Columns')");
  await page.uncheck("[name=cols][value=login]");
  await page.click("button:has-text('Show these')");
  await page.waitForURL(/cols=status%2Cgroups%2Cstorage%2Cquota%2Cexpires$/);
  page.wellBehaved();
});

// Many rows: found by a text, folded where there is little room, and none of them is lost.
await story(async ({ open }) => {
  const virtual_folders = Array.from({ length: 20 }, (_, at) => ({ name: `many-${at}`, virtual_path: `/mnt/${at}`, quota_size: 0, quota_files: 0 }));
  for (const { name } of virtual_folders) await api("POST", "/folders", { name, mapped_path: `/tmp/sftpgo-web-${name}` });
  await api("POST", "/users", { username: "full", password: "a pass phrase", status: 1, home_dir: "/tmp/sftpgo-web-full", permissions: { "/": ["*"] }, virtual_folders });
  const page = await open();
  await page.signIn();
  await page.goto(`${users}/full?tab=storage`);
  const shown = () => page.locator("[data-rows] tr:visible [name$='.name']").evaluateAll((all) => all.map((one) => one.value).filter(Boolean));
  assert.equal((await shown()).length, 20);
  await page.fill("[placeholder='Find among 20 rows']", "/mnt/7");
  assert.deepEqual(await shown(), ["many-7"]);
  assert.match(await page.textContent("[data-changes-title]"), /No changes/);

  await page.setViewportSize({ width: 390, height: 844 });
  assert.equal(await page.locator("[value='/mnt/7']").isVisible(), false);
  await page.click("summary:has-text('many-7 at /mnt/7')");
  await page.fill("[value='/mnt/7']", "/seven");
  await page.waitForSelector("summary:has-text('many-7 at /seven')");
  await page.click("button[data-save]");
  await page.waitForSelector("main > .notice.ok");
  const paths = (await stored("full")).virtual_folders.map((folder) => folder.virtual_path);
  assert.equal(paths.length, 20);
  assert.ok(paths.includes("/seven"));
  page.wellBehaved();
});

// Keys alone, from the sign-in to a saved change.
await story(async ({ open }) => {
  const page = await open();
  await page.goto(`${root}/web/admin/login?next=/web/admin/users`);
  await page.keyboard.type(admin.username);
  await page.keyboard.press("Tab");
  await page.keyboard.type(admin.password);
  await page.keyboard.press("Enter");
  await page.waitForURL(users);
  await eventually("/ leads to the search", async () => {
    await page.keyboard.press("/");
    return page.evaluate(() => document.activeElement.type === "search");
  });
  await page.keyboard.type("ann");
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=ann/);
  await page.evaluate(() => document.activeElement.blur());
  await eventually("j leads to the first row", async () => {
    await page.keyboard.press("j");
    return page.evaluate(() => document.activeElement.closest("tbody") !== null);
  });
  await page.keyboard.press("Enter");
  await page.waitForURL(`${users}/ann*`);
  for (let at = 0; at < 60; at += 1) {
    if (await page.evaluate(() => document.activeElement.id === "description")) break;
    await page.keyboard.press("Tab");
  }
  assert.equal(await page.evaluate(() => document.activeElement.id), "description");
  await page.keyboard.press("Control+a");
  await page.keyboard.type("typed with keys");
  await page.keyboard.press("Control+s");
  await eventually("it is saved", async () => (await stored("ann")).description === "typed with keys");

  await page.waitForSelector("main > .notice.ok");

  // The keys are listed, and single ones can be turned off.
  const dialog = page.locator("dialog[open]");
  await page.goto(users);
  await eventually("? lists them", async () => {
    if (!(await dialog.count())) await page.keyboard.press("?");
    return /Next row/.test((await dialog.allTextContents()).join());
  });
  await page.keyboard.press("Escape");
  assert.equal(page.url(), users);
  await page.goto(`${root}/web/admin/profile`);
  await page.uncheck("label:has-text('Single keys') input");
  await page.goto(users);
  // Once keys are listened to: with a key that always acts, in a window that stays here.
  await page.evaluate(() => document.querySelector(".goto").addEventListener("click", (event) => { event.preventDefault(); document.title = "went"; }));
  await eventually("Ctrl K still acts", async () => {
    await page.keyboard.press("Control+k");
    return (await page.title()) === "went";
  });
  for (const key of ["/", "j", "x", "?"]) await page.keyboard.press(key);
  assert.equal(await page.evaluate(() => document.activeElement.closest("input, th")), null);
  assert.equal(await dialog.count(), 0);
  page.wellBehaved();
});
