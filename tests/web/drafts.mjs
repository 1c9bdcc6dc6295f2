// What is typed into a long form is lost by nothing but saving and discarding it, and comes
// back only when it is asked for.
import { admin, api, assert, eventually, root, story } from "./lib.mjs";

const at = `${root}/web/admin`;
const PASSWORD = "a secret pass phrase";
await api("POST", "/groups", { name: "staff", user_settings: { quota_files: 7 } });
await api("POST", "/groups", { name: "other" });
await api("POST", "/admins", { username: "second", password: PASSWORD, status: 1, permissions: ["*"] });
await api("POST", "/users", {
  username: "ann", password: PASSWORD, status: 1, home_dir: "/tmp/sftpgo-web-ann",
  permissions: { "/": ["*"], "/in": ["list"], "/out": ["list", "download"] },
});

await story(async ({ open }) => {
  const page = await open({ expected: [403, 422] });
  await page.signIn();
  const offer = page.locator(".offer");
  const storage = () => page.evaluate(() => JSON.stringify({ ...sessionStorage }));
  const isKept = (text) => eventually(`${text} is kept`, async () => (await storage()).includes(text));
  /// Nothing is offered: asked when the page had the time to do so.
  const nothingOffered = async (what) => {
    await page.waitForLoadState("networkidle");
    await page.evaluate(() => new Promise((done) => setTimeout(done, 500)));
    assert.equal(await offer.count(), 0, what);
  };

  // A click leads away in the middle of it.
  await page.goto(`${at}/new-user`);
  await page.fill("#username", "bob");
  await page.fill("#password", PASSWORD);
  await page.fill("#description", "Robert <b>of</b> Finance");
  await page.fill("#quota_size", "2.5");
  await page.selectOption("[name=quota_size_unit]", "GiB");
  await page.click(".segments label:has-text('Read only')");
  await page.click(".nav a:has-text('Groups')");
  await page.goto(`${at}/new-user`);
  await offer.waitFor();
  assert.match(await offer.textContent(), /^Restore what you typed at \d{1,2}[:.]\d{2}.*\? Passwords were not kept\./);
  assert.equal(await page.inputValue("#username"), "", "nothing comes back by itself");
  const csrf = await page.getAttribute("body", "data-csrf");
  for (const secret of [PASSWORD, csrf]) assert.ok(!(await storage()).includes(secret), "no secret is stored");
  // What is typed before the answer is kept with the rest.
  await page.fill("#email", "bob@example.org");
  await isKept("bob@example.org");
  await page.reload();
  await page.click(".offer button:has-text('Restore')");
  assert.equal(await offer.count(), 0);
  const shown = async () => Promise.all(["#username", "#password", "#description", "#quota_size", "[name=quota_size_unit]", "#email"].map((field) => page.inputValue(field)));
  assert.deepEqual(await shown(), ["bob", "", "Robert <b>of</b> Finance", "2.5", "GiB", "bob@example.org"]);
  assert.ok(await page.isChecked(".segments label:has-text('Read only') input"));

  // A mistake: the answer shows what was typed, so there is nothing to ask.
  await page.fill("#home_dir", "not/absolute");
  await page.fill("#password", PASSWORD);
  await page.click("button[data-save]");
  await page.waitForSelector(".error-summary");
  await nothingOffered("after an error");
  await page.fill("#home_dir", "/tmp/sftpgo-web-bob");
  await page.fill("#password", PASSWORD);
  await isKept("/tmp/sftpgo-web-bob");
  // The whole of it is still there for who leaves now.
  await page.goto(`${at}/new-user`);
  await page.click(".offer button:has-text('Restore')");
  assert.deepEqual((await shown()).slice(0, 3), ["bob", "", "Robert <b>of</b> Finance"]);
  await page.fill("#password", PASSWORD);
  await page.click("button[data-save]");
  await page.waitForURL(`${at}/users/bob*`);
  assert.equal((await api("GET", "/users/bob")).quota_size, 2_684_354_560);
  assert.ok(!(await storage()).includes("draft:"), "what is saved is not kept");
  await page.goto(`${at}/new-user`);
  await nothingOffered("after it was saved");

  // An older draft that was not asked for does not come between: what is sent counts.
  await page.fill("#email", "older@example.org");
  await isKept("older@example.org");
  await page.reload();
  await offer.waitFor();
  await page.fill("#username", "newer");
  await page.fill("#home_dir", "not/absolute");
  await page.click("button[data-save]");
  await page.waitForSelector(".error-summary");
  await nothingOffered("above what is wrong");
  assert.deepEqual([await page.inputValue("#username"), await page.inputValue("#email")], ["newer", ""]);
  assert.ok(!(await storage()).includes("older@example.org"));
  await page.click("a:has-text('Cancel')");

  // Rows of a list: changed, removed, added.
  await page.goto(`${at}/users/ann?tab=permissions`);
  const rows = () => page.$$eval("[data-rows=permissions] tr:not([hidden])", (all) => all
    .map((row) => [row.querySelector("input").value, ...[...row.querySelectorAll(":checked[type=checkbox]")].map((box) => box.value)].join(" "))
    .filter((row) => row));
  await page.check("[data-row-label='/in'] [value=upload]");
  for (const dir of ["/new", "/newer"]) {
    await page.click("button[value=permissions]");
    const last = page.locator("[data-rows=permissions] tr").last();
    await last.locator("input").first().fill(dir);
    await last.locator("[value=overwrite]").check();
  }
  const typed = await rows();
  await isKept("/newer");
  await page.goto(`${at}/users/ann?tab=limits`);
  await page.waitForSelector(".tabs [data-tab=permissions].changed");
  await page.goto(`${at}/users/ann?tab=permissions`);
  await page.click(".offer button:has-text('Restore')");
  assert.deepEqual(await rows(), typed);
  await page.waitForSelector("[data-changes] li");
  assert.ok((await page.locator("td.changed").count()) >= 3, "changed cells are marked");
  await page.click("a:has-text('Discard')");
  await page.waitForLoadState();
  await nothingOffered("after it was discarded");
  assert.ok(!(await storage()).includes("draft:"));

  // The session ends before the form is sent: the way leads back over the sign-in.
  await page.goto(`${at}/groups/staff`);
  await page.fill("#description", "Everybody");
  const list = page.locator("#access_time tbody tr");
  await list.last().locator("input").first().fill("08:00");
  await list.last().locator("input").last().fill("17:00");
  await page.context().clearCookies();
  await page.click("button[data-save]");
  await page.waitForURL(/login/);
  await page.waitForSelector("text=Your session has ended. What you typed is kept.");
  await api("PUT", "/groups/staff", { ...(await api("GET", "/groups/staff")), user_settings: { quota_files: 8 } });
  await page.fill("#username", admin.username);
  await page.fill("#password", admin.password);
  await page.click("main button.primary");
  await page.waitForURL(`${at}/groups/staff`);
  await offer.waitFor();
  assert.match(await offer.textContent(), /changed here since then/, "somebody else was there");
  await page.click(".offer button:has-text('Restore')");
  assert.equal(await page.inputValue("#quota_files"), "8", "what others changed stays");
  await page.click("button[data-save]");
  await page.waitForSelector("main > .notice.ok");
  const staff = await api("GET", "/groups/staff");
  assert.deepEqual([staff.description, staff.user_settings.filters.access_time?.length], ["Everybody", 1]);

  // Discarded by the offer.
  await page.goto(`${at}/groups/other`);
  await page.fill("#description", "not wanted");
  await isKept("not wanted");
  await page.reload();
  await page.click(".offer button:has-text('Discard')");
  assert.equal(await page.inputValue("#description"), "");
  await page.reload();
  await nothingOffered("after Discard");

  // The form was too old: the page that says so leads back to it.
  await page.fill("#description", "in vain");
  const other = await page.context().newPage();
  await other.goto(`${at}/login`);
  await other.fill("#username", admin.username);
  await other.fill("#password", admin.password);
  await other.click("main button.primary");
  await other.waitForURL(at);
  await page.click("button[data-save]");
  await page.waitForSelector("text=The form was too old");
  await page.waitForSelector("text=What you typed is kept.");
  await page.click("a:has-text('Back to the form')");
  await page.click(".offer button:has-text('Restore')");
  assert.equal(await page.inputValue("#description"), "in vain");

  // Lines of a template have passwords in them.
  await page.goto(`${at}/new-users`);
  await page.fill("#lines", `zoe,${PASSWORD}`);
  await page.fill("#description", "Temps");
  await isKept("Temps");
  assert.ok(!(await storage()).includes(PASSWORD), "no secret is stored");

  // Signing out forgets it, at once.
  await page.goto(`${at}/groups/other`);
  await page.fill("#description", "left behind");
  await page.click(".person form[action$='/logout'] button");
  await page.waitForURL(/login/);
  assert.ok(!(await storage()).includes("draft:"));
  assert.ok(!(await page.isVisible("text=What you typed is kept.")));

  // It is nobody else's business.
  await page.signIn();
  await page.goto(`${at}/groups/other`);
  await page.fill("#description", "only for me");
  await isKept("only for me");
  await page.context().clearCookies();
  await page.goto(`${at}/groups/other`);
  await page.fill("#username", "second");
  await page.fill("#password", PASSWORD);
  await page.click("main button.primary");
  await page.waitForURL(`${at}/groups/other`);
  await nothingOffered("to another admin");
  assert.ok(!(await storage()).includes("only for me"));
  page.wellBehaved();
});
