// Plays a person at the Inspector's web page: connects, signs in on the pages of mock-auth, and calls two tools.
//
//   PAGE     its address, with its token      MODULES, CHROMIUM, SCREENSHOTS (a folder)

import { load } from './signin.mjs';

const { chromium } = (await load('playwright-core')).default;
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
  await page.getByText('Disconnected').waitFor();
  await show('the page');
  const signIn = context.waitForEvent('page', { timeout: 5000 }).catch(() => page);
  await page.getByRole('switch', { name: /^Connect or disconnect/ }).locator('xpath=..').click();
  const signing = await signIn;
  await signing.getByRole('button', { name: /Ada Brook/ }).click();
  await signing.getByRole('button', { name: 'Allow' }).click();
  await page.getByText('Connection Info').waitFor();
  await page.getByText('Tools', { exact: true }).click();
  await page.getByText('List Entries').first().click();
  await page.getByRole('button', { name: 'Execute Tool' }).click();
  await page.getByText(/Found \d+ entr/).first().waitFor();
  await show('a list');
  // Last: afterwards the server asks for tags, and a dialog lies over the page.
  await page.getByText('Create Entry').first().click();
  await page.getByRole('textbox', { name: /title/ }).fill('By the Inspector');
  await page.getByRole('textbox', { name: /content/ }).fill('Its page.');
  await show('the form of a tool');
  await page.getByRole('button', { name: 'Execute Tool' }).click();
  await page.getByText(/Created entry/).first().waitFor();
  await show('what was written');
} catch (error) {
  await show('where it ended');
  throw error;
} finally {
  await browser.close();
}
