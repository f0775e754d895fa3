// Runs one authorization server in every way of its page: check.mjs NAME PROGRAM

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Checks } from '../clients/checks.mjs';
import { startPostgres } from '../clients/postgres.mjs';
import { Journey } from './journey.mjs';
import { configurations } from './page.mjs';

const [name, program] = process.argv.slice(2);
const { version, ways, besides = {}, parallel } = await import(`./${name}.mjs`);
const checks = new Checks(`${name} ${version}`);
const folder = mkdtempSync(join(tmpdir(), 'epicme-issuers-'));
const postgres = startPostgres();
process.on('exit', () => {
  postgres.stop();
  rmSync(folder, { recursive: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

const page = configurations(name);
const journeys = [];
const journey = (name, lines, start) =>
  new Journey({ checks, name, program, database: postgres.url, folder, lines, start });
await checks.check('the page has the ways that are tried here', async () => {
  const [said, tried] = [[...page.keys()], Object.keys(ways)].map((it) => it.sort().join(', '));
  if (said !== tried) throw new Error(`the page has ${said}; tried are ${tried}`);
});
for (const [heading, start] of Object.entries(ways)) {
  if (page.has(heading)) journeys.push(() => journey(heading, page.get(heading), start).go());
}
for (const [what, { way, and = [], start, go }] of Object.entries(besides)) {
  journeys.push(async () => {
    const one = journey(what, [...page.get(way), ...and], start);
    try {
      await one.check('EpicMe starts', () => one.begin());
      if (one.epicme) await go(one);
    } finally {
      await one.check('EpicMe ends in order', () => one.end());
    }
  });
}
if (parallel) await Promise.all(journeys.map((go) => go()));
else for (const go of journeys) await go();
checks.end();
