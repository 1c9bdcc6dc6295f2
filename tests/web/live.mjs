// Live pages whose server goes away and comes back, and that are paused: they say so, and go
// on without having been loaded anew. What the browser sees of the server is a relay that is
// taken away.
import { connect, createServer } from "node:net";
import { once } from "node:events";
import { api, assert, eventually, root, slowUpload, story } from "./lib.mjs";

const relay = {
  sockets: new Set(),
  async begin(port = 0) {
    const { hostname, port: target } = new URL(root);
    this.server = createServer((inner) => {
      const outer = connect(Number(target), hostname);
      for (const [one, other] of [[inner, outer], [outer, inner]]) {
        this.sockets.add(one);
        one.on("error", () => {}).on("close", () => { this.sockets.delete(one); other.destroy(); });
        one.pipe(other);
      }
    });
    this.server.listen(port, "127.0.0.1");
    await once(this.server, "listening");
    this.port = this.server.address().port;
  },
  async end() {
    const closed = once(this.server, "close");
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  },
};

/// Lets the log have a line that names `who`, and waits until it is there.
async function stranger(who) {
  await fetch(`${root}/api/v2/token`, { headers: { Authorization: `Basic ${Buffer.from(`${who}:wrong`).toString("base64")}` } });
  await eventually(`the log names ${who}`, async () => JSON.stringify(await api("GET", `/logs/tail?sender=connection_failed&q=${who}`)).includes(who));
}

const client = await slowUpload("slow");
await relay.begin();
const origin = `http://127.0.0.1:${relay.port}`;
try {
  await story(async ({ open }) => {
    const page = await open({ origin, expected: ["net::ERR_"] });
    await page.signIn();
    const says = (words) => eventually(`the page says ${words}`, async () => words.test(await page.textContent("[data-live-text]")), 60);
    const loaded = () => page.evaluate(() => performance.timeOrigin);
    const isStale = () => page.evaluate(() => document.querySelector("[data-module~=live]").classList.contains("stale"));

    // Connections: cut off, told, and back with what has happened meanwhile.
    await page.goto(`${origin}/web/admin/connections`);
    await page.waitForSelector(".transfer");
    await says(/^Live$/);
    const first = await loaded();
    const bytes = () => page.textContent(".transfer [data-cell=bytes]");
    await relay.end();
    await says(/^Reconnecting, data is \d+ s old$/);
    assert.ok(await isStale(), "old values are dimmed");
    const old = await bytes();
    await relay.begin(relay.port);
    await says(/^Live$/);
    assert.ok(!(await isStale()));
    await eventually("the bytes move again", async () => (await bytes()) !== old);

    // Paused, nothing moves; then everything does.
    const pause = page.locator("[data-pause]");
    await pause.click();
    await says(/^Paused$/);
    assert.equal(await pause.getAttribute("aria-pressed"), "true");
    const before = await bytes();
    const sent = async () => (await api("GET", "/connections")).find((one) => one.username === "slow").active_transfers[0].size;
    const then = await sent();
    await eventually("the upload goes on", async () => (await sent()) > then + 500_000);
    assert.equal(await bytes(), before, "the page stands still");
    await pause.click();
    await says(/^Live$/);
    assert.equal(await pause.getAttribute("aria-pressed"), "false");
    await eventually("the bytes move again", async () => (await bytes()) !== before);
    assert.equal(await loaded(), first, "nothing was loaded anew");

    // Events: what was missed comes, after a pause and after a cut.
    await page.goto(`${origin}/web/admin/events?sender=connection_failed`);
    await says(/^Live$/);
    const second = await loaded();
    const tells = (who) => page.locator(`[data-lines] tr:has-text("${who}")`).count();
    const comes = (who) => eventually(`${who} is on the page once`, async () => (await tells(who)) === 1, 60);
    await stranger("stranger-1");
    await comes("stranger-1");
    await page.click("[data-pause]");
    await says(/^Paused$/);
    await stranger("stranger-2");
    assert.equal(await tells("stranger-2"), 0, "the page stands still");
    await page.click("[data-pause]");
    await comes("stranger-2");
    await relay.end();
    await says(/^Reconnecting/);
    await stranger("stranger-3");
    await relay.begin(relay.port);
    await comes("stranger-3");
    await says(/^Live$/);
    assert.deepEqual([await tells("stranger-1"), await tells("stranger-2")], [1, 1], "and nothing twice");
    assert.equal(await loaded(), second, "nothing was loaded anew");

    // The overview.
    await page.goto(`${origin}/web/admin`);
    await says(/^Live$/);
    await relay.end();
    await says(/^Reconnecting/);
    await relay.begin(relay.port);
    await says(/^Live$/);
    page.wellBehaved();
  });
} finally {
  client.kill();
  await relay.end();
}
