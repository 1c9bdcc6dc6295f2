// Every page that the navigation leads to, and those that it does not: accessible in both
// themes and widths, within the window, and quiet.
import { accessible, admin, api, assert, fits, root, story, tablesFit } from "./lib.mjs";

const shots = process.env.SFTPGO_TEST_SHOTS;

// Something to show, with names that are not nice to pages.
await api("POST", "/folders", { name: "projects", mapped_path: "/tmp/does-not-matter" });
await api("POST", "/groups", { name: "design", description: "<b>bold</b>" });
for (const [at, description] of ["Nightly statements", "<script>alert(1)</script>", "\u202Egnp.exe"].entries()) {
  await api("POST", "/users", {
    username: `user-${at}`, password: "a pass phrase", status: at === 1 ? 0 : 1, description,
    home_dir: `/tmp/sftpgo-web-${at}`, permissions: { "/": ["list", "download"], "/in": ["*"] },
    quota_size: 1_000_000_000, groups: [{ name: "design", type: 1 }],
  });
}
// One with much of everything, and as long a name as there may be.
const long = "longname".repeat(15);
const folders = Array.from({ length: 20 }, (_, at) => ({ name: `folder-${at}`, virtual_path: `/mounted/somewhere-${at}`, quota_size: at, quota_files: 0 }));
for (const { name } of folders) await api("POST", "/folders", { name, mapped_path: `/tmp/sftpgo-web-${name}` });
await api("POST", "/users", {
  username: long, password: "a pass phrase", status: 1, home_dir: "/tmp/sftpgo-web-long", quota_size: 1_073_741_824,
  permissions: Object.fromEntries([["/", ["*"]], ...folders.map(({ virtual_path }) => [virtual_path, ["list"]])]),
  expiration_date: Date.now() + 40 * 86_400_000, groups: [{ name: "design", type: 1 }], virtual_folders: folders,
});
await api("POST", `/quotas/users/${long}/scan`);
// A task with something to tell.
await api("POST", "/bulk/users?background=1", { action: "enable", usernames: ["user-0", "nobody"] });

// A backup that would change something.
async function uploadedBackup(page) {
  const users = [{ username: "user-0", status: 1, home_dir: "/tmp/elsewhere", permissions: { "/": ["list"] } }, { username: "new", status: 1, home_dir: "/tmp/new", permissions: { "/": ["*"] } }];
  await page.goto(`${root}/web/admin/maintenance`);
  await page.setInputFiles("#file", { name: "backup.json", mimeType: "application/json", buffer: Buffer.from(JSON.stringify({ users })) });
  await page.click("button:has-text('Upload and look')");
  await page.waitForURL("**/maintenance/restore/*");
  return page.url();
}

async function pages(page) {
  await page.goto(`${root}/web/admin`);
  const links = await page.$$eval(".nav a", (anchors) => anchors.map((anchor) => anchor.href));
  assert.ok(links.length >= 1);
  const forms = [];
  for (const link of links) {
    await page.goto(link);
    // The objects and empty forms that the page leads to, one of each kind.
    const found = await page.$$eval("main a[href]", (anchors) => anchors.map((anchor) => anchor.href));
    const kinds = new Map();
    for (const href of found) {
      const url = new URL(href);
      if (!url.pathname.startsWith("/web/admin/") || /export|csv|json|download/.test(href)) continue;
      const [, , , section, object = ""] = url.pathname.split("/");
      kinds.set(`${section}/${object === "new" ? "new" : object && "object"}/${url.searchParams.get("tab") ?? ""}`, href);
    }
    forms.push(...kinds.values());
  }
  const backup = await uploadedBackup(page);
  const tabs = ["storage", "permissions"].map((tab) => `${root}/web/admin/users/${long}?tab=${tab}`);
  const test = `${root}/web/admin/tester?user=${long}&operation=rename_symlink&path=/mounted/somewhere-1/x&target=/y`;
  return [...new Set([...links, ...forms, ...tabs, test, backup, `${root}/web/admin/profile`, `${root}/web/admin/two-factor`, `${root}/web/admin/goto?q=u`])];
}

await story(async ({ open }) => {
  let seen = 0;
  for (const [colorScheme, width, height] of [["light", 1280, 900], ["dark", 1280, 900], ["light", 390, 844], ["dark", 390, 844]]) {
    const page = await open({ colorScheme, viewport: { width, height }, bypassCSP: true });
    await page.goto(`${root}/web/admin/login`);
    await accessible(page, `login ${colorScheme} ${width}`);
    // In another window too, so that there is a session that can be ended.
    await (await open({ colorScheme })).signIn();
    await page.signIn(admin.username, admin.password);
    for (const url of await pages(page)) {
      await page.goto(url);
      const what = `${new URL(url).pathname}${new URL(url).search} ${colorScheme} ${width}`;
      await accessible(page, what);
      for (const narrow of width > 1000 && colorScheme === "light" ? [1100, 1024, 800, 320, width] : [width]) {
        await page.setViewportSize({ width: narrow, height });
        await fits(page, `${what} in ${narrow}`);
        await tablesFit(page, `${what} in ${narrow}`);
      }
      assert.equal((await page.$$("h1")).length, 1, `${what} has one headline`);
      if (shots) await page.screenshot({ path: `${shots}/${what.replaceAll(/[^a-z0-9]+/gi, "-")}.png`, fullPage: true });
      seen += 1;
    }
    page.wellBehaved();
  }
  assert.ok(seen >= 12, `only ${seen} pages were seen`);
});

// Who wants more columns than there is room for still sees what can be done with a row.
await story(async ({ open }) => {
  const page = await open({ viewport: { width: 1024, height: 900 } });
  await page.signIn();
  await page.goto(`${root}/web/admin/users?cols=status,groups,storage,quota,login,expires,role,email,created`);
  await page.click(`summary[aria-label="Actions for user-0"]`);
  const [menu, table] = await page.$$eval(".menu[open] summary, .table-wrap", (all) => all.map((one) => one.getBoundingClientRect().right).sort((a, b) => a - b));
  assert.ok(menu <= table && table <= 1024, `${menu} ${table}`);
  page.wellBehaved();
});

// The same with the policy of the pages in force: nothing is refused, as all is our own.
await story(async ({ open }) => {
  const page = await open();
  await page.signIn();
  for (const url of await pages(page)) {
    await page.goto(url);
    await page.waitForLoadState("load");
  }
  page.wellBehaved();
});
