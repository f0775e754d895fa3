// Plays a person at the Inspector's web page: connects, signs in on the pages of mock-auth, lists the tools, and calls two.
//
//   PAGE     its address, with its token      MODULES, CHROMIUM, SCREENSHOTS (a folder)

import { load } from './signin.mjs';

const { chromium } = await load('playwright-core');
const { PAGE, CHROMIUM, SCREENSHOTS } = process.env;

const args = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-proxy-server'];
const browser = await chromium.launch({ executablePath: CHROMIUM, args });
const context = await browser.newContext({ viewport: { width: 1400, height: 1000 } });
context.setDefaultTimeout(60_000);
const page = await context.newPage();
let shots = 0;
async function show(what, where = page) {
  await where.screenshot({ path: `${SCREENSHOTS}/${++shots}.png` });
  console.log(`${shots}.png ${what}: ${(await where.innerText('body')).replace(/\s+/g, ' ').slice(0, 1500)}`);
}

try {
  await page.goto(PAGE);
  await page.waitForLoadState('networkidle');
  await show('the page');
  const other = context.waitForEvent('page', { timeout: 5000 }).catch(() => page);
  await page.getByRole('button', { name: /connect/i }).or(page.getByRole('switch', { name: /connect/i })).first().click({ timeout: 5000 }).catch(async () => {
    await page.locator('[role=switch], label:has(input[type=checkbox])').first().click();
  });
  const signing = await other;
  await signing.getByRole('button', { name: /Ada Brook/ }).click();
  await signing.getByRole('button', { name: 'Allow' }).click();
  await page.waitForTimeout(4000);
  await show('connected');
} catch (error) {
  await show('where it ended');
  throw error;
} finally {
  await browser.close();
}
