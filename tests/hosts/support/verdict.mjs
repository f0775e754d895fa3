// One line about a run of a host, from the logs in its folder: node verdict.mjs NAME FOLDER
// A host's script may name something that is wrong in FOLDER/wrong.
// Fails unless the tools were listed, an entry was written and listed, the sign-in had PKCE and named the resource, and the
// agent, if there was one, went on to its end.

import { existsSync, readFileSync } from 'node:fs';
import { lines, Wire } from './reading.mjs';

const [name, folder] = process.argv.slice(2);
const wire = new Wire(`${folder}/wire.jsonl`);
const model = lines(`${folder}/model.jsonl`);

const signedIn = wire.authorizations;
const noted = `${folder}/wrong`;
const wrong = existsSync(noted) ? readFileSync(noted, 'utf8').split('\n').filter(Boolean).slice(0, 3) : [];
if (!wire.tools.includes('create_entry')) wrong.push('tools were not listed');
for (const tool of ['create_entry', 'list_entries']) if (!wire.did(tool)) wrong.push(`${tool} did not succeed`);
if (model.length && !model.some(({ results, said }) => results.length && said.say?.startsWith('All done.'))) {
  wrong.push(`the agent did not come to its end: ${model.at(-1).said.say ?? 'it did not go on after a call'}`);
}
for (const request of signedIn) {
  if (request.get('code_challenge_method') !== 'S256') wrong.push('no PKCE with S256');
  if (!request.has('resource')) wrong.push('no resource in the authorization request');
}
const way = wire.registered ? 'registered' : signedIn.length ? 'a client that was known' : 'a token in a header';
const facts = [wire.revisions.join(', '), way, `${wire.tools.length} tools`, ...wire.refusals()];
console.log(`${wrong.length ? 'FAILED ' : 'passed '} ${name.padEnd(18)} ${[...wrong, ...facts].join('; ')}`);
process.exit(wrong.length ? 1 : 0);
