// Everything that is done every day, in a browser that runs no script.
import { admin, api, assert, cutOff, eventually, root, slowUpload, story } from "./lib.mjs";

const users = `${root}/web/admin/users`;
const stored = (name) => api("GET", `/users/${name}`);
for (let at = 10; at < 70; at += 1) {
  await api("POST", "/users", { username: `robot-${at}`, password: "a pass phrase", status: 1, home_dir: `/tmp/sftpgo-web-robot-${at}`, permissions: { "/": ["*"] } });
}
const client = await slowUpload("slow");

try {
  await story(async ({ open }) => {
    const page = await open({ javaScriptEnabled: false, expected: [401, 422] });
    const notice = () => page.textContent("main > .notice");
    await page.signIn(admin.username, "wrong");
    assert.match(await page.textContent(".notice"), /name or the password is wrong/);
    await page.signIn();
    assert.equal(page.url(), `${root}/web/admin`);

    // Light and dark are chosen by the server.
    const theme = () => page.getAttribute("html", "data-theme");
    assert.equal(await theme(), "auto");
    for (const chosen of ["light", "dark"]) {
      await page.click(".person form[action$='/theme'] button");
      assert.equal(await theme(), chosen);
      assert.equal(page.url(), `${root}/web/admin`, "and the page is the same");
    }

    // Nothing is shown that only a script could make work.
    for (const path of ["", "/connections", "/events", "/users", "/status", "/users/robot-10?tab=permissions"]) {
      await page.goto(`${root}/web/admin${path}`);
      for (const control of ["[data-pause]", "[data-page]", "[data-remove]", "[data-copy]"]) {
        for (const one of await page.locator(control).all()) assert.ok(!(await one.isVisible()), `${path}: ${control}`);
      }
    }

    // The list: pages, their size, order, search.
    await page.click(".nav a:has-text('Users')");
    const names = () => page.locator(".users tbody th a").allTextContents();
    assert.equal((await names()).length, 50);
    await page.click(".pager a[rel=next]");
    assert.equal((await names()).length, 11, "60 robots and the slow one");
    await page.selectOption("#per", "100");
    await page.click(".pager button:has-text('Show')");
    assert.equal((await names()).length, 61);
    await page.click("thead a:has-text('User')");
    assert.equal((await names())[0], "slow", "the other way round");
    await page.fill("main input[type=search]", "robot-1");
    await page.click("button:has-text('Apply')");
    assert.deepEqual((await names()).toSorted(), Array.from({ length: 10 }, (_, at) => `robot-${10 + at}`));
    await page.click("a:has-text('Clear')");

    // A user is created: a mistake first, which keeps what was typed.
    await page.click("a:has-text('Add user')");
    await page.fill("#username", "eve");
    await page.fill("#password", "a pass phrase");
    await page.fill("#home_dir", "/tmp/sftpgo-web-eve");
    await page.fill("#quota_size", "1,5");
    await page.click("button[data-save]");
    assert.match(await page.textContent(".error-summary"), /Quota size: Enter a size, such as 10 GB\./);
    assert.equal(await page.inputValue("#quota_size"), "1,5");
    await page.fill("#quota_size", "1.5 GiB");
    await page.fill("#password", "a pass phrase");
    await page.click("button[data-save]");
    assert.match(await notice(), /User created/);
    assert.equal((await stored("eve")).quota_size, 1_610_612_736);

    // Changed, with one more row of a list.
    await page.click(".tabs a:has-text('Permissions')");
    assert.equal(await page.locator("[data-rows=permissions] tr").count(), 2);
    await page.click("button[value=permissions]");
    assert.ok((await page.locator("[data-rows=permissions] tr").count()) > 2, "there are empty rows");
    await page.fill("[name='permissions.1.dir']", "/in");
    await page.check("[name='permissions.1.allow'][value=upload]");
    await page.click("button[data-save]");
    assert.match(await notice(), /Permissions saved/);
    assert.deepEqual((await stored("eve")).permissions, { "/": ["*"], "/in": ["upload"] });

    // A key is added and removed.
    await page.click(".tabs a:has-text('Sign-in')");
    await page.fill("[name='public_keys.0.line']", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMGzvS4pOSNdl9XnP5O0/Ye19IFbTx9iq5mFXRIkYpzj eve@studio");
    await page.click("button[data-save]");
    assert.equal((await stored("eve")).public_keys.length, 1);
    assert.match(await page.textContent(".keys"), /ssh-ed25519.*eve@studio.*SHA256:/s);
    await page.check("[aria-label='Remove the key eve@studio']");
    await page.click("button[data-save]");
    assert.deepEqual((await stored("eve")).public_keys ?? [], []);

    // Many at once: ticked, asked, done.
    await page.goto(`${users}?q=robot-1`);
    await page.check("[aria-label='Select robot-11']");
    await page.check("[aria-label='Select robot-12']");
    await page.click("button[value=disable]");
    assert.match(await page.textContent("main h1"), /2 users/);
    await page.click("main button.primary");
    assert.match(await notice(), /2/);
    assert.deepEqual(await Promise.all(["robot-11", "robot-12", "robot-13"].map(async (name) => (await stored(name)).status)), [0, 0, 1]);

    // One is deleted from its row.
    await page.goto(`${users}?q=eve`);
    await page.click("summary[aria-label='Actions for eve']");
    await page.click(".end-cell a:has-text('Delete…')");
    assert.match(await page.textContent("main h1"), /eve/);
    await page.click("main button.final");
    assert.match(await notice(), /deleted|gone/i);
    assert.ok(!JSON.stringify(await api("GET", "/users?limit=500")).includes('"eve"'));

    // A group, with a list that gets rows from the server.
    await page.goto(`${root}/web/admin/new-group`);
    await page.fill("#name", "plain");
    await page.click("button[value=permissions]");
    assert.equal(await page.inputValue("#name"), "plain", "what was typed is kept");
    await page.locator("[name='permissions.path']").first().fill("/in");
    await page.locator("[name='permissions.preset']").first().selectOption({ label: "Drop box" });
    await page.click("button[data-save]");
    assert.deepEqual((await api("GET", "/groups/plain")).user_settings.permissions, { "/in": ["list", "upload", "create_dirs"] });

    // Whoever is connected is ended, with a reason.
    await page.goto(`${root}/web/admin/connections`);
    await page.waitForSelector("text=big.bin");
    await page.click(".session a:has-text('Kill')");
    await page.fill("#reason", "no script needed");
    await page.click("main button.final");
    await cutOff(client);
    await eventually("the page comes anew by itself", async () => (await page.locator(".transfer").count()) === 0);
    assert.ok(JSON.stringify(await api("GET", "/logs/tail?q=no%20script%20needed")).includes(admin.username));

    await page.click(".person form[action$='/logout'] button");
    assert.equal(page.url(), `${root}/web/admin/login`);
    page.wellBehaved();
  });
} finally {
  client.kill();
}
