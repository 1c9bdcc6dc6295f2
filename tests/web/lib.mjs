// What every story in the browser has: Chromium, a server that was started for it, and
// guards that fail it for whatever a page must never do.
import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const modules = createRequire(`${process.env.SFTPGO_TEST_NODE_MODULES}/`);
const { chromium } = modules("playwright-core");
const axePath = modules.resolve("axe-core/axe.min.js");

export const root = process.env.SFTPGO_TEST_ROOT;
export const admin = {
  username: process.env.SFTPGO_TEST_ADMIN,
  password: process.env.SFTPGO_TEST_ADMIN_PASSWORD,
};
export { assert };

const ARGUMENTS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

/// Runs a story; whatever goes wrong in the pages meanwhile fails it too.
export async function story(tell) {
  const browser = await chromium.launch({ executablePath: process.env.SFTPGO_TEST_CHROMIUM, args: ARGUMENTS });
  try {
    await tell({ open: (options) => open(browser, options) });
  } finally {
    await browser.close();
  }
}

/// A window of its own. `expected` has what the story provokes on purpose: statuses, or parts
/// of messages. `origin` is where the server is for this window.
async function open(browser, { expected = [], bypassCSP = false, origin = root, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, bypassCSP, ...options });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(`exception: ${error.message}`));
  page.on("console", (message) => {
    const isExpected = expected.some((one) => message.text().includes(typeof one === "number" ? `status of ${one}` : one));
    if (["error", "warning"].includes(message.type()) && !isExpected) wrong.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.origin !== origin && url.protocol !== "data:") wrong.push(`request to ${url.origin}`);
  });
  // A click that leads to another page waits until that has begun, not until there is anything
  // on it: what is read next would be of neither.
  const click = page.click.bind(page);
  page.click = async (...to) => {
    await click(...to);
    await page.waitForLoadState("load");
  };
  page.wellBehaved = () => assert.deepEqual(wrong, [], page.url());
  page.signIn = async (username = admin.username, password = admin.password) => {
    await page.goto(`${origin}/web/admin/login`);
    await page.fill("#username", username);
    await page.fill("#password", password);
    await page.click("main button.primary");
  };
  return page;
}

/// Fails if axe-core finds a serious or critical issue on the page. Needs `bypassCSP`: the
/// checker is no part of the page.
export async function accessible(page, what) {
  await page.addScriptTag({ path: axePath });
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const bad = violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target} ${node.failureSummary}`).join(" | ")}`);
  assert.deepEqual(bad, [], what);
}

/// Fails if the page is wider than the window: nobody should have to scroll sideways.
export async function fits(page, what) {
  const [needed, there] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(needed <= there, `${what} is ${needed} px wide in a window of ${there}`);
}

/// Fails if a table is wider than its place: what can be done with a row would be out of sight.
export async function tablesFit(page, what) {
  const hidden = await page.$$eval(".table-wrap, .panel:has(> .table)", (all) => all.map((one) => one.scrollWidth - one.clientWidth).filter((width) => width > 0));
  assert.deepEqual(hidden, [], `${what}: px of tables out of sight`);
}

/// Waits until `holds` is true, asking it now and then.
export async function eventually(what, holds, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `not within ${seconds} s: ${what}`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

/// Uploads a file so slowly, at a bandwidth of the user, that there is time to look on.
/// Resolves to the exit code of the client in `gone`.
export async function slowUpload(username) {
  const dir = mkdtempSync(join(tmpdir(), "sftpgo-web-"));
  writeFileSync(join(dir, "big"), Buffer.alloc(40_000_000));
  await api("POST", "/users", {
    username, password: "a pass phrase", status: 1, home_dir: join(dir, "home"),
    permissions: { "/": ["*"] }, upload_bandwidth: 256,
  });
  const client = spawn("rclone", [
    "copyto", join(dir, "big"), ":sftp:big.bin", "--retries", "1", "--low-level-retries", "1",
    "--sftp-host", "127.0.0.1", "--sftp-port", process.env.SFTPGO_TEST_SFTP_PORT,
    "--sftp-user", username, "--sftp-pass", process.env.SFTPGO_TEST_OBSCURED, "--config", "/dev/null",
  ], { stdio: "ignore" });
  client.gone = new Promise((done) => client.on("exit", done));
  return client;
}

/// Fails if the client has not been cut off, or does not know that it has failed.
export async function cutOff(client) {
  const code = await Promise.race([client.gone, new Promise((done) => setTimeout(() => done("alive"), 20_000))]);
  assert.notEqual(code, "alive", "the client is cut off");
  assert.notEqual(code, 0, "and knows that it has failed");
}

/// Calls the REST API as the administrator.
export async function api(method, path, body) {
  api.token ??= await (async () => {
    const pair = Buffer.from(`${admin.username}:${admin.password}`).toString("base64");
    const answer = await fetch(`${root}/api/v2/token`, { headers: { Authorization: `Basic ${pair}` } });
    return (await answer.json()).access_token;
  })();
  const headers = { Authorization: `Bearer ${api.token}` };
  const answer = await fetch(`${root}/api/v2${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
}
