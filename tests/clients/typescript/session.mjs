// A journal session by the official TypeScript clients: nothing is given to it but the server's URL.

import { atMockAuth } from '../browser.mjs';
import { Checks, equal, ok } from '../checks.mjs';
import { Connection, FIRST, Person, SECOND } from './person.mjs';

const url = new URL(process.argv[2]);
const checks = new Checks('typescript');

const titles = async (connection) => (await connection.call('list_entries')).entries.map((entry) => entry.title);

for (const sdk of [SECOND, FIRST]) {
  for (const mode of sdk.modes) await session(sdk, mode);
}
checks.end();

async function session(sdk, [name, mode, revision]) {
  const check = (what, body) => checks.check(`${sdk.version} ${name}: ${what}`, body);
  const open = (person) => Connection.open(url, mode, person, sdk);
  const mark = `${name} ${crypto.randomUUID().slice(0, 8)}`;
  const ada = new Person(atMockAuth('1'));
  let journal;
  let tag;
  let entry;

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
    equal(ada.asked[0].searchParams.get('scope').split(' ').sort().join(), metadata.scopes_supported.sort().join(), 'scope');
  });
  await check('lists the tools', async () => ok((await journal.tools()).includes('create_entry'), 'create_entry'));
  await check('creates a tag', async () => {
    tag = await journal.call('create_tag', { name: mark });
    equal((tag = tag.tag).name, mark, 'name');
  });
  await check('creates an entry with the tag', async () => {
    entry = await journal.call('create_entry', { title: mark, content: `A walk, ${mark}.`, tags: [tag.id] });
    entry = entry.entry;
    equal(entry.tags.map((it) => it.id).join(), String(tag.id), 'tags');
  });
  await check('lists it, also by its tag', async () => {
    equal((await titles(journal))[0], mark, 'newest');
    const tagged = await journal.call('list_entries', { tagIds: [tag.id] });
    equal(tagged.entries.length, 1, 'entries');
  });
  await check('finds it', async () => {
    const found = await journal.call('search_entries', { query: mark });
    equal(found.entries[0].id, entry.id, 'id');
  });
  await check('reads it', async () => {
    const read = await journal.call('get_entry', { id: entry.id });
    equal(read.entry.content, `A walk, ${mark}.`, 'content');
  });
  await check('changes it', async () => {
    const changed = await journal.call('update_entry', { id: entry.id, title: `${mark}!`, mood: 'calm' });
    equal(changed.entry.title, `${mark}!`, 'title');
  });
  await check('takes the tag off and puts it on again', async () => {
    const both = { entryId: entry.id, tagId: tag.id };
    await journal.call('remove_tag_from_entry', both);
    equal((await journal.call('list_entries', { tagIds: [tag.id] })).entries.length, 0, 'entries without');
    await journal.call('add_tag_to_entry', both);
    equal((await journal.call('list_entries', { tagIds: [tag.id] })).entries.length, 1, 'entries with');
  });
  await check('is told what is wrong with arguments', async () => {
    const words = await journal.failing('create_entry', { title: mark });
    ok(words.includes('content'), words);
  });
  await check('is told that an entry is not there', async () => {
    ok((await journal.failing('get_entry', { id: 999999999 })).length > 0, 'words');
  });
  await check('gets a protocol error for an unknown tool', async () => {
    const error = await journal.client.callTool({ name: 'no_such_tool', arguments: {} }).catch((thrown) => thrown);
    equal(error.code, -32602, String(error));
  });
  await check('another user sees nothing of it', async () => {
    const bela = await open(new Person(atMockAuth('2')));
    ok(!(await titles(bela)).includes(`${mark}!`), 'title');
    equal((await bela.call('search_entries', { query: mark })).entries.length, 0, 'found');
    const [his, nobodys] = [await bela.failing('get_entry', { id: entry.id }), await bela.failing('get_entry', { id: 999999999 })];
    equal(his.replace(/\d/g, ''), nobodys.replace(/\d/g, ''), 'the same words');
    await bela.client.callTool({ name: 'delete_entry', arguments: { id: entry.id } });
    equal((await journal.call('get_entry', { id: entry.id })).entry.title, `${mark}!`, 'still there');
    await bela.client.close();
  });
  await check('deletes it', async () => {
    await journal.call('delete_entry', { id: entry.id });
    ok(!(await titles(journal)).includes(`${mark}!`), 'title');
    await journal.call('delete_tag', { id: tag.id });
  });
  await check('steps up after a consent that left out writing', async () => {
    const person = new Person(atMockAuth('3', ['entries:write']));
    const connection = await open(person);
    ok(!(await connection.tools()).includes('create_entry'), 'create_entry is hidden');
    person.answer = atMockAuth('3');
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
    await connection.client.close();
  });
  await check('refreshes a token that is refused', async () => {
    const person = new Person(atMockAuth('1'));
    const first = await open(person);
    await first.client.close();
    const refused = { ...person.kept, access_token: 'epa_that_is_unknown' };
    person.saveTokens(refused);
    const again = await open(person);
    ok((await titles(again)).length > 0, 'entries');
    equal(person.asked.length, 1, 'trips to the browser');
    ok(person.kept.access_token !== refused.access_token, 'a new token');
    await again.client.close();
  });
  await check('ends its session', async () => {
    await journal.transport.terminateSession();
    await journal.client.close();
  });
}
