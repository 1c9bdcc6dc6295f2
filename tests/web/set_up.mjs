// An empty server is set up in the browser, with the code that its config asks for.
import { admin, assert, root, story } from "./lib.mjs";

await story(async ({ open }) => {
  const page = await open({ expected: [422] });
  await page.goto(`${root}/web/admin/login`);
  assert.equal(page.url(), `${root}/web/admin/setup`, "there is nobody to sign in yet");
  const send = async (fields) => {
    for (const [name, value] of Object.entries(fields)) await page.fill(`#${name}`, value);
    await page.click("main button.primary");
  };
  const right = {
    installation_code: "only-for-me",
    username: admin.username,
    password: admin.password,
    confirm: admin.password,
  };
  await send({ ...right, installation_code: "guessed" });
  assert.match(await page.textContent("#installation_code-error"), /not the code/);
  assert.equal(await page.inputValue("#username"), admin.username, "what was typed is kept");
  await send({ ...right, confirm: "another" });
  assert.match(await page.textContent("#confirm-error"), /differ/);
  assert.match(await page.textContent("#password-error"), /Type the password again/);
  const { password, confirm } = right;
  const steps = (await page.locator(".steps strong").allTextContents()).slice(1);
  await send({ password, confirm });
  assert.equal(page.url(), `${root}/web/admin`, "the code was kept");
  assert.match(await page.textContent("h1"), /^Overview/);
  const beginning = await page.locator(".beginning li").allTextContents();
  assert.equal(beginning.length, steps.length + 1);
  steps.forEach((step, at) => assert.ok(beginning[at + 1].trim().startsWith(step), `${beginning[at + 1]} is ${step}`));
  // It works once: the next stranger sees the sign-in.
  const other = await open();
  await other.goto(`${root}/web/admin/setup`);
  assert.equal(other.url(), `${root}/web/admin/login`);
  page.wellBehaved();
  other.wellBehaved();
});
