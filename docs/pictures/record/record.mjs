// Records the README's pictures from running programs: terminal.svg (what `cargo run` prints and what its first
// command answers) and host.png (the consent page, and the MCP Inspector using the journal).
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';

const [program, inspector, node, out] = process.argv.slice(2);
const children = [];

/** Starts a program and gives what it prints, line by line, up to the first one that matches. */
async function start(file, args, until, env = {}) {
  const child = spawn(file, args, { cwd: process.env.WORK, env: { ...process.env, HOME: process.env.WORK, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  child.stderr.resume();
  const lines = [];
  const timer = setTimeout(() => child.kill('SIGINT'), 90_000);
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (until.test(line)) {
      clearTimeout(timer);
      child.stdout.resume();
      return lines;
    }
  }
  throw new Error(`${file} ended without ${until}:\n${lines.join('\n')}`);
}

/** Lines without the folder of this recording, which is no part of what they say. */
const anywhere = (lines) => lines.map((line) => line.replaceAll(encodeURIComponent(process.env.WORK), '…'));

const escaped = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

/** Lines of a terminal, folded at its width, as an SVG. A line that begins with "$ " was typed. */
function terminal(lines, columns = 108) {
  const folded = lines.flatMap((line) => {
    const parts = line.match(new RegExp(`.{1,${columns}}`, 'g')) ?? [''];
    return parts.map((part, index) => ({ part, typed: index === 0 && part.startsWith('$ ') }));
  });
  const [width, height] = [columns * 7.83 + 32, folded.length * 18 + 28];
  const text = folded.map(({ part, typed }, row) =>
    `<text x="16" y="${row * 18 + 29}"${typed ? ' class="typed"' : ''} xml:space="preserve">${escaped(part)}</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<style>text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #e6edf3 } .typed { fill: #7ee787; font-weight: bold }</style>
<rect width="100%" height="100%" rx="8" fill="#0d1117" stroke="#3d444d"/>
${text.join('\n')}
</svg>
`;
}

/** The first command of the banner, without its line ends. */
function firstCommand(lines) {
  const from = lines.findIndex((line) => line.startsWith('curl '));
  const to = lines.findIndex((line, index) => index > from && line === '');
  return lines.slice(from, to);
}

/** Connects the Inspector, signs in as Ada Brook and has it write an entry: pictures of the consent page and of the result. */
async function consentAndHost(browser, mcp) {
  const printed = await start(node, [inspector, '--transport', 'http', '--server-url', mcp], /https?:\/\/\S+TOKEN=/,
    { MCP_AUTO_OPEN_ENABLED: 'false', CLIENT_PORT: '6274', HOST: '127.0.0.1' });
  const url = /https?:\/\/\S+TOKEN=\w+/.exec(printed.join('\n'))[0];
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: 'light' });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  await page.goto(url);
  // The switch is there before the page listens to it.
  while (!page.url().includes('/oauth/authorize')) {
    if (await page.getByText('Disconnected').isVisible()) await page.getByRole('switch').or(page.locator('input[type=checkbox]')).first().click({ force: true });
    await page.waitForURL(/oauth.authorize/, { timeout: 10_000 }).catch(() => {});
  }
  await page.getByText('Ada Brook').click();
  await page.getByRole('button', { name: 'Allow', exact: true }).waitFor();
  const consent = await page.screenshot({ clip: { x: 300, y: 0, width: 680, height: 900 } });
  await page.getByRole('button', { name: 'Allow', exact: true }).click();
  await page.getByRole('button', { name: 'Close monitoring sidebar' }).click();
  await page.getByText('Tools', { exact: true }).first().click();
  await page.getByText('create_entry', { exact: true }).click();
  await page.getByLabel('title', { exact: false }).first().fill('A walk in the rain');
  await page.getByLabel('content', { exact: false }).first().fill('Through the park and back. The first frogs.');
  await page.getByRole('button', { name: 'Execute Tool' }).click();
  await page.getByText(/Created entry/).first().waitFor();
  // EpicMe asks the host's model for tags; the Inspector has none.
  await page.getByRole('button', { name: 'Reject' }).click();
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  for (const notice of await page.getByRole('alert').getByRole('button').all()) await notice.click({ timeout: 2_000 }).catch(() => {});
  await page.getByRole('alert').last().waitFor({ state: 'hidden' });
  const host = await page.screenshot({ animations: 'disabled' });
  const beside = await context.newPage();
  await beside.setViewportSize({ width: 2000, height: 880 });
  const image = (png) => `<img style="border:1px solid #8888;border-radius:8px;height:856px" src="data:image/png;base64,${png.toString('base64')}">`;
  await beside.setContent(`<body style="margin:10px;display:flex;gap:14px">${image(consent)}${image(host)}`);
  return beside.locator('body').screenshot({ omitBackground: true });
}

try {
  const lines = await start(program, [], /^ {2}MCP Inspector/);
  const command = firstCommand(lines);
  const { stdout } = await promisify(execFile)('sh', ['-c', command.join('\n')]);
  const banner = lines.slice(lines.findIndex((line) => line.startsWith('EpicMe is running')));
  const above = banner.slice(0, banner.findIndex((line) => line.startsWith('curl ')) - 1);
  writeFileSync(`${out}/terminal.svg`, terminal(['$ cargo run', ...anywhere(above), '', '$ ' + command[0], ...command.slice(1), `${stdout.slice(0, 300)}…`]));
  const mcp = /http:\S+\/mcp/.exec(banner.join('\n'))[0];
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--no-proxy-server'] });
  try {
    writeFileSync(`${out}/host.png`, await consentAndHost(browser, mcp));
  } finally {
    await browser.close();
  }
} finally {
  for (const child of children) {
    if (child.exitCode === null) {
      child.kill('SIGINT');
      await once(child, 'exit');
    }
  }
}
