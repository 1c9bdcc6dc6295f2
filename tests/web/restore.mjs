// A backup in the browser: downloaded, looked at after things have changed, and restored.
import { readFileSync } from "node:fs";
import { admin, api, assert, eventually, root, story } from "./lib.mjs";

const user = (username, more) => ({ username, status: 1, home_dir: `/tmp/sftpgo-web-restore/${username}`, permissions: { "/": ["*"] }, ...more });
const stored = (name) => api("GET", `/users/${name}`);
await api("POST", "/users", user("ann", { quota_size: 1_000_000 }));
await api("POST", "/users", user("bob"));

for (const javaScriptEnabled of [true, false]) {
  await story(async ({ open }) => {
    const page = await open({ javaScriptEnabled, acceptDownloads: true, expected: [422] });
    await page.signIn(admin.username, admin.password);
    await page.click(".nav a:has-text('Maintenance')");
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("a:has-text('Download a backup')")]);
    assert.equal(download.suggestedFilename(), "sftpgo-backup.json");
    const file = await download.path();
    assert.ok(JSON.parse(readFileSync(file, "utf8")).users.some(({ username }) => username === "ann"));

    // Something goes wrong.
    await api("PUT", "/users/ann", { ...(await stored("ann")), quota_size: 5 });
    await api("DELETE", "/users/bob");

    // A file that is no backup changes nothing.
    await page.setInputFiles("#file", { name: "letter.json", mimeType: "application/json", buffer: Buffer.from("Dear Sir or Madam") });
    await page.click("button:has-text('Upload and look')");
    assert.match(await page.textContent(".notice"), /letter\.json is not a JSON object/);

    await page.setInputFiles("#file", file);
    await page.click("button:has-text('Upload and look')");
    await page.waitForURL("**/maintenance/restore/*");
    const report = await page.textContent("main");
    assert.match(report, /bob/);
    assert.match(report, /Was changed here after this backup|1 would be left alone/);
    assert.equal((await stored("ann")).quota_size, 5, "nothing has been written");
    await page.selectOption("#newer", "replace");
    await page.click("button:has-text('Look again')");
    await page.waitForURL("**newer=replace**");
    assert.match(await page.textContent("main"), /quota_size/);
    await page.click("button:has-text('Apply 2 changes')");
    await page.waitForURL("**/tasks/*");
    await page.waitForSelector(".notice:has-text('Data restored: 1 added')");
    assert.equal((await stored("ann")).quota_size, 1_000_000);
    assert.equal((await stored("bob")).username, "bob");

    // The state before was saved, as the form offers it.
    await page.goto(`${root}/web/admin/maintenance`);
    await eventually("the backup is listed", async () => (await page.textContent("main")).includes("backup_"));
    page.wellBehaved();
  });
}
