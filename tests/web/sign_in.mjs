// Signing in, wrongly and rightly, with the mouse and with the keyboard alone; light and dark.
import { admin, assert, eventually, root, story } from "./lib.mjs";

await story(async ({ open }) => {
  const page = await open({ expected: [401], colorScheme: "light" });
  await page.signIn(admin.username, "wrong");
  assert.match(await page.textContent(".notice"), /name or the password is wrong/);
  assert.equal(await page.inputValue("#password"), "", "no page repeats a password");
  await page.signIn();
  assert.equal(page.url(), `${root}/web/admin`);

  // The choice of colours is remembered by the server: nothing flashes.
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const theme = () => page.getAttribute("html", "data-theme");
  const light = await background();
  for (const [chosen, looks] of [["light", light], ["dark", null], ["auto", light]]) {
    await page.click(".person form[action$='/theme'] button");
    assert.equal(await theme(), chosen);
    assert.equal((await background()) === light, looks === light, chosen);
  }
  await page.emulateMedia({ colorScheme: "dark" });
  assert.notEqual(await background(), light, "without a choice the system decides");

  // Signing out ends the session here and there.
  await page.click(".person form[action$='/logout'] button");
  assert.equal(page.url(), `${root}/web/admin/login`);
  await page.goto(`${root}/web/admin/profile`);
  assert.match(page.url(), /login\?next=/);

  // Keys alone: the field has the focus, Tab and Enter do the rest.
  await eventually("the name has the focus", () => page.evaluate(() => document.activeElement.id === "username"));
  await page.keyboard.type(admin.username);
  await page.keyboard.press("Tab");
  await page.keyboard.type(admin.password);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${root}/web/admin/profile`);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.match(page.url(), /#main$/, "the first stop skips the navigation");
  // Keys act once their module is there, which may be after the page.
  await eventually("Control K leads to the search for places", async () => {
    await page.keyboard.press("Control+k");
    await page.waitForLoadState("load");
    return page.url() === `${root}/web/admin/goto`;
  });
  page.wellBehaved();
});
