// A slow upload of a real client moves on the page, and is ended from there.
import { spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { api, assert, eventually, root, story } from "./lib.mjs";

const dir = mkdtempSync(join(tmpdir(), "sftpgo-web-"));
writeFileSync(join(dir, "big"), Buffer.alloc(40_000_000));
await api("POST", "/users", {
  username: "slow", password: "a pass phrase", status: 1, home_dir: join(dir, "home"),
  permissions: { "/": ["*"] }, upload_bandwidth: 256,
});

function upload() {
  const client = spawn("rclone", [
    "copyto", join(dir, "big"), ":sftp:big.bin", "--retries", "1", "--low-level-retries", "1",
    "--sftp-host", "127.0.0.1", "--sftp-port", process.env.SFTPGO_TEST_SFTP_PORT,
    "--sftp-user", "slow", "--sftp-pass", process.env.SFTPGO_TEST_OBSCURED, "--config", "/dev/null",
  ], { stdio: "ignore" });
  client.gone = new Promise((done) => client.on("exit", done));
  return client;
}

const client = upload();
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

    await page.click(".session a:has-text('Kill')");
    await page.waitForSelector("dialog[open]");
    assert.match(await page.textContent("dialog"), /slow/);
    await page.fill("dialog #reason", "too slow for us");
    await page.click("dialog button.final");
    const code = await Promise.race([client.gone, new Promise((done) => setTimeout(() => done("alive"), 10_000))]);
    assert.notEqual(code, "alive", "the client is cut off");
    assert.notEqual(code, 0, "and knows that it has failed");
    await page.waitForSelector(".transfer", { state: "detached" });
    assert.equal(await page.evaluate(() => performance.timeOrigin), loaded, "nothing was loaded anew");
    page.wellBehaved();
  });
  const { lines } = await api("GET", "/logs/tail?q=too%20slow%20for%20us");
  assert.ok(JSON.stringify(lines).includes(process.env.SFTPGO_TEST_ADMIN), "the log names who did it, and why");
} finally {
  client.kill();
}
