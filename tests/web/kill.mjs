// A slow upload of a real client moves on the page, and is ended from there.
import { api, assert, cutOff, eventually, root, slowUpload, story, tablesFit } from "./lib.mjs";

const client = await slowUpload("slow");
try {
  await story(async ({ open }) => {
    const page = await open();
    await page.signIn();
    await page.goto(`${root}/web/admin/connections`);
    // The session comes by itself, without a reload.
    const loaded = await page.evaluate(() => performance.timeOrigin);
    await page.waitForSelector("text=big.bin");
    const moved = () => page.textContent(".transfer [data-cell=bytes]");
    const before = await moved();
    await eventually("the bytes move", async () => (await moved()) !== before);
    await eventually("there is a rate", async () => /\d.* [KM]?B\/s/.test(await page.textContent(".session [data-cell=rate]")));

    for (const width of [1100, 1024, 800, 390, 1280]) {
      await page.setViewportSize({ width, height: 900 });
      await tablesFit(page, `connections in ${width}`);
    }
    await page.click(".session a:has-text('Kill')");
    await page.waitForSelector("dialog[open]");
    assert.match(await page.textContent("dialog"), /slow/);
    await page.fill("dialog #reason", "too slow for us");
    await page.click("dialog button.final");
    await cutOff(client);
    await page.waitForSelector(".transfer", { state: "detached" });
    assert.equal(await page.evaluate(() => performance.timeOrigin), loaded, "nothing was loaded anew");

    // A question that comes too late says so.
    await page.goto(`${root}/web/admin/connections/kill?id=SFTP_0000000000000000_1`);
    assert.match(await page.textContent("main h1"), /ended already/);
    assert.equal(await page.locator("main button.final").count(), 0);
    page.wellBehaved();
  });
  const { lines } = await api("GET", "/logs/tail?q=too%20slow%20for%20us");
  assert.ok(JSON.stringify(lines).includes(process.env.SFTPGO_TEST_ADMIN), "the log names who did it, and why");
} finally {
  client.kill();
}
