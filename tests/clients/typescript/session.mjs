// A journal session by the official TypeScript clients: nothing is given to it but the server's URL.

import { atMockAuth } from '../browser.mjs';
import { Checks, equal, ok, same } from '../checks.mjs';
import { calling } from './calling.mjs';
import { Connection } from './connection.mjs';
import { deleting } from './deleting.mjs';
import { Person } from './person.mjs';
import { reading } from './reading.mjs';
import { sampling } from './sampling.mjs';
import { FIRST, SECOND } from './sdk.mjs';
import { watching } from './watching.mjs';

const url = new URL(process.argv[2]);
const checks = new Checks('typescript');

for (const sdk of [SECOND, FIRST]) {
  for (const mode of sdk.modes) await session(sdk, mode);
}
checks.end();

async function session(sdk, [name, mode, revision]) {
  const check = (what, body) => checks.check(`${sdk.version} ${name}: ${what}`, body);
  const open = (person, host) => Connection.open(url, mode, person, sdk, host);
  const mark = `${name} ${crypto.randomUUID().slice(0, 8)}`;
  const ada = new Person(atMockAuth('1'));
  const bela = new Person(atMockAuth('2'));
  let journal;

  await check('connects with full OAuth, being given nothing but the URL', async () => {
    journal = await open(ada);
    equal(journal.revision, revision, 'revision');
    equal(ada.asked.length, 1, 'trips to the browser');
    equal(ada.asked[0].searchParams.get('resource'), String(url), 'resource');
    equal(ada.asked[0].searchParams.get('code_challenge_method'), 'S256', 'PKCE');
  });
  if (!journal) return;
  await check('asks for the scopes that the metadata lists', async () => {
    const metadata = await (await fetch(new URL('/.well-known/oauth-protected-resource/mcp', url))).json();
    same(ada.asked[0].searchParams.get('scope').split(' ').sort(), metadata.scopes_supported.sort(), 'scope');
  });

  const parts = [calling, reading, deleting, watching, ...(journal.isModern ? [] : [sampling])];
  for (const part of parts) await part({ check, open, journal, ada, bela, mark });

  await check('steps up after a consent that left out writing', async () => {
    const person = new Person(atMockAuth('3', { without: ['entries:write'] }));
    const connection = await open(person);
    ok(!(await connection.tools()).includes('create_entry'), 'create_entry is hidden');
    person.answer = atMockAuth('3', { tick: ['entries:write'] });
    if (sdk.stepsUpOnlyWithoutRefreshToken) delete person.kept.refresh_token;
    const early = connection.call('create_entry', { title: mark, content: 'Stepped up.' });
    const refused = await early.catch((error) => error);
    ok(refused instanceof sdk.UnauthorizedError, `refused: ${refused}`);
    equal(person.asked.length, 2, 'trips to the browser');
    const asked = person.asked[1].searchParams.get('scope').split(' ');
    ok(asked.includes('entries:write') && asked.includes('tags:read'), `asks for both, old and new: ${asked}`);
    await connection.comeBack();
    await connection.call('create_entry', { title: mark, content: 'Stepped up.' });
    ok((await connection.tools()).includes('create_entry'), 'create_entry is shown');
    await connection.leave();
  });
  await check('refreshes a token that is refused', async () => {
    const person = new Person(atMockAuth('1'));
    const first = await open(person);
    await first.leave();
    const refused = { ...person.kept, access_token: 'epa_that_is_unknown' };
    person.saveTokens(refused);
    const again = await open(person);
    ok((await again.titles()).length > 0, 'entries');
    equal(person.asked.length, 1, 'trips to the browser');
    ok(person.kept.access_token !== refused.access_token, 'a new token');
    await again.leave();
  });
  await check('ends its session', () => journal.leave());
}
