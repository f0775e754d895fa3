// One line about what a host did in a trouble, from the logs in its folder: node trouble.mjs HOST TROUBLE FOLDER
//
// Fails if the trouble was not met (the test would prove nothing), if the host did not end by itself, or if it does not work
// afterwards without a sign-in (after mock-lost: with one).

import { existsSync, readFileSync } from 'node:fs';
import { lines, Wire } from './reading.mjs';

const [host, trouble, folder] = process.argv.slice(2);
const TIMED_OUT = 124;

function phase(name) {
  if (!existsSync(`${folder}/${name}.json`)) return undefined;
  return {
    ...JSON.parse(readFileSync(`${folder}/${name}.json`, 'utf8')),
    wire: new Wire(`${folder}/${name}.wire.jsonl`),
    said: lines(`${folder}/${name}.model.jsonl`).findLast(({ names }) => names.length)?.said.say ?? '',
  };
}

/** What has to have happened for the trouble to have been met, and what is worth telling. */
const met = {
  'rate-limit': ({ wire }) => wire.toolCalls.some(({ status }) => status === 429) || 'no call was refused with 429',
  outage: ({ wire }) => wire.toolCalls.some(({ status }) => status === 503) || 'no call was refused with 503',
  expiry: ({ wire }) => wire.refreshes.length > 0 || 'nothing was refreshed',
  parallel: ({ wire }) => wire.refreshes.length > 0 || 'nothing was refreshed',
  'server-restart': ({ wire }) => wire.toolCalls.length > 1 || 'no call came after the restart',
  'mock-restart': () => true,
  'mock-lost': ({ wire }) => !wire.did('list_entries') || 'the tokens were still good',
  'step-up': ({ wire }) => wire.mcp.some(({ status }) => status === 403) || 'no call was refused with 403',
};

const during = phase('during');
const after = phase('after');
const wrong = [];
const facts = [];
if (!during || !after) wrong.push('the run did not come to its end');
else {
  const isMet = met[trouble](during);
  if (isMet !== true) wrong.push(isMet);
  for (const [name, { status }] of Object.entries({ during, after })) {
    if (status === TIMED_OUT) wrong.push(`the run ${name} the trouble did not end by itself`);
  }
  const { wire, seconds, said } = during;
  const calls = wire.toolCalls;
  facts.push(`${calls.filter(({ succeeded }) => succeeded).length} of ${calls.length} calls succeeded in ${seconds} s`);
  const refusals = wire.refusals();
  if (refusals.length) facts.push(`refused: ${refusals.join(' ')}`);
  if (wire.refreshes.length) facts.push(`${wire.refreshes.length} refreshes`);
  if (wire.authorizations.length) facts.push('a browser was opened');
  if (!said.startsWith('All done.')) facts.push(`the agent said: ${said.slice(0, 100) || 'nothing'}`);
  if (['expiry', 'mock-restart'].includes(trouble) && !wire.did('list_entries')) wrong.push('the call did not succeed');
  if (!after.wire.did('list_entries')) wrong.push('does not work afterwards');
  if (after.wire.authorizations.length) wrong.push('asks for a sign-in afterwards');
}
console.log(`${wrong.length ? 'FAILED ' : 'passed '} ${host.padEnd(12)} ${trouble.padEnd(15)} ${[...wrong, ...facts].join('; ')}`);
process.exit(wrong.length ? 1 : 0);
