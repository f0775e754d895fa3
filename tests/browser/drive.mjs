// Plays a person at the pages of mock-auth, and the client behind them. Started by run.sh.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, mkdir, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const FLAGS = [
  "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
  // Chromium's sandbox does not start for root.
  ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
];
const RESOURCE = "http://127.0.0.1:8787/mcp";
const PHONE = { width: 360, height: 740 };

const work = await mkdtemp(join(tmpdir(), "mock-auth-browser-"));
const shots = process.env.SCREENSHOTS ?? join(work, "screenshots");
await mkdir(shots, { recursive: true });

/** A port that was free a moment ago. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Starts mock-auth and waits until it says that it is ready. */
async function startAuth(binary) {
  const bind = `127.0.0.1:${await freePort()}`;
  const child = spawn(binary, ["--bind", bind, "--log", "warn"], {
    env: {
      MOCK_AUTH_INTROSPECTION_CLIENT_ID: "epicme",
      MOCK_AUTH_INTROSPECTION_CLIENT_SECRET: "secret",
      MOCK_AUTH_DEFAULT_RESOURCE: RESOURCE,
      MOCK_AUTH_SCOPES: "user:read,entries:read=Read your entries,entries:write=Write entries,tags:read,tags:write",
      MOCK_AUTH_DANGEROUS_SCOPES: "entries:write,tags:write",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  for await (const chunk of child.stdout) {
    said += chunk;
    if (said.includes("is ready at")) break;
  }
  assert.match(said, /is ready at/, "mock-auth did not start");
  return { issuer: `http://${bind}`, child };
}

/** The client's own page, where the browser comes back to. */
async function startClient() {
  const server = createServer((_, response) => {
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html><title>Back</title><h1>Back at the client</h1>");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, callback: `http://127.0.0.1:${server.address().port}/callback` };
}

async function post(url, body, type = "application/x-www-form-urlencoded") {
  const form = type.endsWith("json") ? JSON.stringify(body) : new URLSearchParams(body);
  const response = await fetch(url, { method: "POST", body: form, headers: { "content-type": type } });
  return { status: response.status, body: await response.json() };
}

/** Registers a client and prepares its authorization request. */
async function request(issuer, callback, scope, more = {}) {
  const metadata = {
    client_name: "Travel Notebook", redirect_uris: [callback], token_endpoint_auth_method: "none",
  };
  const { body: client } = await post(`${issuer}/oauth/register`, metadata, "application/json");
  const verifier = randomBytes(32).toString("base64url");
  const query = new URLSearchParams({
    client_id: client.client_id, redirect_uri: callback, response_type: "code", scope, state: "s-1",
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256", resource: RESOURCE, ...more,
  });
  return { client, verifier, callback, url: `${issuer}/oauth/authorize?${query}` };
}

/** Redeems the code in the address that the browser came back to. */
async function redeem(issuer, asked, back) {
  const { searchParams } = new URL(back);
  assert.equal(searchParams.get("state"), "s-1");
  assert.equal(searchParams.get("iss"), issuer);
  return post(`${issuer}/oauth/token`, {
    grant_type: "authorization_code", client_id: asked.client.client_id, redirect_uri: asked.callback,
    code: searchParams.get("code"), code_verifier: asked.verifier,
  });
}

/** A page whose console may not complain about anything, least of all the policy. */
async function open(browser, options, run) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  try {
    await run(page);
    // A missing favicon is none of these pages' business.
    const own = complaints.filter((text) => !/status of (400|404)|favicon\.ico/.test(text));
    assert.deepEqual(own, [], "the console complains");
  } finally {
    await context.close();
  }
}

async function shoot(page, name) {
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth).catch(() => 0);
  assert.ok(wide <= 0, `${name} is wider than the window by ${wide}`);
}

async function allowAllButOne(page, asked, shot) {
  await page.goto(asked.url);
  await shoot(page, `sign-in-${shot}`);
  await page.getByRole("group", { name: "Go on as" }).getByRole("button", { name: /Bela/ }).click();
  await page.getByRole("heading", { name: /Allow Travel Notebook/ }).waitFor();
  await shoot(page, `consent-${shot}`);
  await page.getByRole("checkbox", { name: /entries:write/ }).uncheck();
  await page.getByRole("button", { name: "Allow" }).click();
  await page.waitForURL(`${asked.callback}?**`);
}

const tests = {
  async "a person unticks a scope and the token lacks it"({ browser, issuer, callback }) {
    const asked = await request(issuer, callback, "entries:read entries:write tags:read");
    await open(browser, {}, async (page) => {
      await allowAllButOne(page, asked, "desktop");
      const { status, body } = await redeem(issuer, asked, page.url());
      assert.equal(status, 200);
      assert.equal(body.scope, "entries:read tags:read");
    });
  },
  async "the pages need no JavaScript, and fit a phone"({ browser, issuer, callback }) {
    const asked = await request(issuer, callback, "entries:read entries:write");
    await open(browser, { javaScriptEnabled: false, viewport: PHONE }, async (page) => {
      await allowAllButOne(page, asked, "phone");
      const { body } = await redeem(issuer, asked, page.url());
      assert.equal(body.scope, "entries:read");
    });
  },
  async "a dark screen gets dark pages"({ browser, issuer, callback }) {
    const asked = await request(issuer, callback, "entries:read entries:write");
    await open(browser, { colorScheme: "dark" }, async (page) => {
      await allowAllButOne(page, asked, "dark");
    });
  },
  async "the keyboard alone is enough"({ browser, issuer, callback }) {
    const asked = await request(issuer, callback, "tags:read");
    await open(browser, {}, async (page) => {
      await page.goto(asked.url);
      await page.keyboard.press("Tab");
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: /Allow/ }).waitFor();
      // Past "Not you?", and past the box.
      await page.keyboard.press("Tab");
      await page.keyboard.press("Tab");
      await shoot(page, "consent-focus");
      await page.keyboard.press("Tab");
      await page.keyboard.press("Enter");
      await page.waitForURL(`${asked.callback}?**`);
      assert.equal((await redeem(issuer, asked, page.url())).body.scope, "tags:read");
    });
  },
  async "denying goes back with access_denied"({ browser, issuer, callback }) {
    const asked = await request(issuer, callback, "tags:read");
    await open(browser, {}, async (page) => {
      await page.goto(asked.url);
      await page.getByRole("button", { name: /Chidi/ }).click();
      await page.getByRole("button", { name: "Deny" }).click();
      await page.waitForURL(`${asked.callback}?**`);
      assert.equal(new URL(page.url()).searchParams.get("error"), "access_denied");
    });
  },
  async "ticking nothing is pointed out"({ browser, issuer, callback }) {
    const asked = await request(issuer, callback, "tags:read");
    await open(browser, {}, async (page) => {
      await page.goto(asked.url);
      await page.getByRole("button", { name: /Ada/ }).click();
      await page.getByRole("checkbox").uncheck();
      await page.getByRole("button", { name: "Allow" }).click();
      await page.getByRole("alert").waitFor();
      await shoot(page, "consent-reminder");
    });
  },
  async "back, reload and a second answer work, and what was unticked stays so"({ browser, issuer, callback }) {
    const asked = await request(issuer, callback, "entries:read entries:write tags:read");
    await open(browser, {}, async (page) => {
      const box = (name) => page.getByRole("checkbox", { name });
      await page.goto(asked.url);
      await page.getByRole("button", { name: /Ada/ }).click();
      await page.getByRole("heading", { name: /Allow/ }).waitFor();
      const consent = page.url();
      await page.reload();
      await page.getByRole("heading", { name: /Allow/ }).waitFor();
      // Back to the choice of a person, and forth.
      await page.goBack();
      await page.getByRole("heading", { name: "Who are you?" }).waitFor();
      await page.goForward();
      await page.getByRole("heading", { name: /Allow/ }).waitFor();
      assert.equal(page.url(), consent);
      await box(/entries:write/).uncheck();
      await page.goBack();
      await page.getByRole("heading", { name: "Who are you?" }).waitFor();
      await page.goForward();
      await page.getByRole("heading", { name: /Allow/ }).waitFor();
      assert.equal(await box(/entries:write/).isChecked(), false, "back and forth");
      await page.getByRole("button", { name: "Allow" }).click();
      await page.waitForURL(`${asked.callback}?**`);
      const first = page.url();
      await page.goBack();
      await page.getByRole("heading", { name: /Allow/ }).waitFor();
      for (const look of ["back", "reload"]) {
        assert.equal(await box(/entries:write/).isChecked(), false, look);
        assert.equal(await box(/entries:read/).isChecked(), true, look);
        await page.reload();
        await page.getByRole("heading", { name: /Allow/ }).waitFor();
      }
      await page.getByRole("button", { name: "Allow" }).click();
      await page.waitForURL((url) => url.href.startsWith(`${asked.callback}?`) && url.href !== first);
      const { body } = await redeem(issuer, asked, page.url());
      assert.equal(body.scope, "entries:read tags:read");
      // At the next sign-in with the same client, in the same browser or another.
      await page.goto(asked.url);
      await page.getByRole("button", { name: /Ada/ }).click();
      await page.getByText(/You left this out before/).waitFor();
      assert.equal(await box(/entries:write/).isChecked(), false);
      await shoot(page, "consent-next-time");
    });
  },
  async "not you leads to another person"({ browser, issuer, callback }) {
    const asked = await request(issuer, callback, "tags:read");
    await open(browser, {}, async (page) => {
      await page.goto(asked.url);
      await page.getByRole("button", { name: /Ada/ }).click();
      await page.getByText("Ada Brook").waitFor();
      await page.getByRole("link", { name: "Not you?" }).click();
      await page.getByRole("button", { name: /Chidi/ }).click();
      await page.getByText("Chidi Field").waitFor();
      await page.getByRole("button", { name: "Allow" }).click();
      await page.waitForURL(`${asked.callback}?**`);
      const { body } = await redeem(issuer, asked, page.url());
      const told = await post(`${issuer}/oauth/introspection`, {
        token: body.access_token, client_id: "epicme", client_secret: "secret",
      });
      assert.equal(told.body.username, "chidi");
    });
  },
  async "dangerous scopes are marked"({ browser, issuer, callback }) {
    const asked = await request(issuer, callback, "entries:read entries:write tags:write");
    await open(browser, { viewport: PHONE }, async (page) => {
      await page.goto(asked.url);
      await page.getByRole("button", { name: /Ada/ }).click();
      assert.equal(await page.getByText(/^Careful/).count(), 2);
      await shoot(page, "consent-dangerous-phone");
    });
  },
  async "a device is connected by its code"({ browser, issuer, callback }) {
    const { client } = await request(issuer, callback, "tags:read");
    const begin = { client_id: client.client_id, scope: "entries:read entries:write", resource: RESOURCE };
    const poll = (code) => post(`${issuer}/oauth/token`, {
      grant_type: "urn:ietf:params:oauth:grant-type:device_code", client_id: client.client_id, device_code: code,
    });
    for (const [name, options] of [["desktop", {}], ["phone", { viewport: PHONE, colorScheme: "dark" }]]) {
      const { body: device } = await post(`${issuer}/oauth/device_authorization`, begin);
      await open(browser, options, async (page) => {
        await page.goto(issuer);
        await page.getByRole("link", { name: "Connect a device" }).click();
        await page.getByLabel("Code").fill("BBBB-BBBB");
        await page.getByRole("button", { name: "Continue" }).click();
        await page.getByRole("alert").waitFor();
        await page.getByLabel("Code").fill(device.user_code.toLowerCase().replace("-", " "));
        await shoot(page, `device-${name}`);
        await page.keyboard.press("Enter");
        await page.getByRole("button", { name: /Bela/ }).click();
        await page.getByText(device.user_code).waitFor();
        await shoot(page, `device-consent-${name}`);
        await page.getByRole("button", { name: "Allow" }).click();
        await page.getByRole("heading", { name: "Allowed" }).waitFor();
        const { status, body } = await poll(device.device_code);
        assert.equal(status, 200);
        assert.equal(body.scope, "entries:read entries:write");
        // It has its answer.
        await page.goBack();
        await page.getByRole("button", { name: "Allow" }).click();
        await page.getByText("the device does not wait any more").waitFor();
      });
    }
    const { body: device } = await post(`${issuer}/oauth/device_authorization`, begin);
    await open(browser, {}, async (page) => {
      await page.goto(device.verification_uri_complete);
      assert.equal(await page.getByLabel("Code").inputValue(), device.user_code);
      await page.getByRole("button", { name: "Continue" }).click();
      await page.getByRole("button", { name: "Cancel" }).click();
      await page.getByRole("heading", { name: "Denied" }).waitFor();
      assert.equal((await poll(device.device_code)).body.error, "access_denied");
    });
  },
  async "a foreign redirect URI ends at a page"({ browser, issuer, callback }) {
    const asked = await request(issuer, callback, "tags:read", { redirect_uri: "https://evil.example/" });
    for (const [name, options] of [["desktop", {}], ["phone", { viewport: PHONE }]]) {
      await open(browser, options, async (page) => {
        assert.equal((await page.goto(asked.url)).status(), 400);
        await shoot(page, `error-${name}`);
        assert.ok(page.url().startsWith(issuer));
      });
    }
  },
  async "a page of another site cannot post a form here"({ browser, issuer, callback }) {
    const asked = await request(issuer, callback, "tags:read");
    await open(browser, {}, async (page) => {
      await page.goto(asked.url);
      const handle = await page.locator("input[name=page]").getAttribute("value");
      await page.goto(callback);
      await page.setContent(`<form method="post" action="${issuer}/oauth/authorize">
        <input name="page" value="${handle}"><button name="user" value="1">Win a prize</button></form>`);
      await page.getByRole("button").click();
      await page.getByText("Nothing was granted").waitFor();
    });
  },
  async "the admin page lists, breaks and mends"({ browser, issuer }) {
    for (let i = 0; i < 3; i += 1) await post(`${issuer}/dev/token`, { user: "ada" }, "application/json");
    await open(browser, { viewport: { width: 1100, height: 800 } }, async (page) => {
      await page.goto(`${issuer}/admin`);
      await shoot(page, "admin-desktop");
      const rows = page.getByRole("region", { name: "Tokens" }).locator("tbody tr");
      const before = await rows.count();
      await rows.first().getByRole("button", { name: "Revoke" }).click();
      await page.waitForLoadState();
      assert.equal(await rows.count(), before - 1);
      await page.getByLabel("introspection: fault").selectOption("garbage");
      await page.getByRole("button", { name: "Set" }).click();
      await page.waitForLoadState();
      assert.equal(await page.getByLabel("introspection: fault").inputValue(), "garbage");
      const faults = await (await fetch(`${issuer}/admin/faults`)).json();
      assert.equal(faults.introspection.mode, "garbage");
      await page.getByRole("button", { name: "Back to normal" }).click();
      await page.waitForLoadState();
      assert.equal(await page.getByLabel("introspection: fault").inputValue(), "none");
    });
    await open(browser, { viewport: PHONE, colorScheme: "dark" }, async (page) => {
      await page.goto(`${issuer}/admin`);
      await shoot(page, "admin-phone");
      await page.goto(issuer);
      await shoot(page, "index-phone");
    });
    await open(browser, {}, async (page) => {
      await page.goto(issuer);
      await shoot(page, "index-desktop");
    });
  },
};

const { issuer, child } = await startAuth(process.argv[2]);
const { server, callback } = await startClient();
// playwright-core gives each launch an empty user data directory of its own.
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS });
let failed = 0;
for (const [name, run] of Object.entries(tests)) {
  try {
    await run({ browser, issuer, callback });
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
  }
}
await browser.close();
server.closeAllConnections();
server.close();
child.kill("SIGTERM");
const [code] = await once(child, "exit");
if (code !== 0) {
  failed += 1;
  console.log(`FAILED  mock-auth stops cleanly: it ended with ${code}`);
}
console.log(`screenshots in ${shots}`);
console.log(`${Object.keys(tests).length + (code !== 0) - failed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
if (process.env.SCREENSHOTS) await rm(work, { recursive: true, force: true });
