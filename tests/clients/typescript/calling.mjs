// The journal's tools, called as a host does; and what a call says that goes wrong.

import { readFileSync } from 'node:fs';

import { equal, ok, same } from '../checks.mjs';

// The tools of the table that the server itself prints (`epicme scopes`).
const SCOPES = readFileSync(new URL('../../../docs/SCOPES.md', import.meta.url), 'utf8');
const TOOLS = [...new Set(Array.from(SCOPES.matchAll(/^\| tool \| `(\w+)`/gm), ([, name]) => name))].sort();

export async function calling({ check, open, journal, bela, mark }) {
  let tag;
  let entry;

  await check('lists the tools', async () => same((await journal.tools()).sort(), TOOLS, 'tools'));
  await check('is told who it speaks for', async () => {
    const { user, scopes } = await journal.call('whoami');
    ok(user.subject, `a subject: ${JSON.stringify(user)}`);
    ok(scopes.includes('entries:read'), `scopes: ${scopes}`);
  });
  await check('creates a tag', async () => {
    ({ tag } = await journal.call('create_tag', { name: mark }));
    equal(tag.name, mark, 'name');
  });
  await check('changes the tag, reads it and lists it', async () => {
    await journal.call('update_tag', { id: tag.id, description: 'Where I go.' });
    equal((await journal.call('get_tag', { id: tag.id })).tag.description, 'Where I go.', 'description');
    const { tags } = await journal.call('list_tags');
    ok(tags.some((it) => it.name === mark), `tags: ${JSON.stringify(tags)}`);
  });
  await check('creates an entry with the tag', async () => {
    ({ entry } = await journal.call('create_entry', { title: mark, content: `A walk, ${mark}.`, tags: [tag.id] }));
    same(entry.tags.map((it) => it.id), [tag.id], 'tags');
  });
  await check('lists it, also by its tag', async () => {
    equal((await journal.titles())[0], mark, 'newest');
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
  await check('exports the journal, is told how far it has come, and reads the document', async () => {
    const { client } = journal;
    const steps = [];
    const request = { name: 'export_journal', arguments: { format: 'json' } };
    const result = await journal.sdk.callTool(client, request, { onprogress: (step) => steps.push(step) });
    ok(!result.isError, JSON.stringify(result.content));
    ok(steps.length > 0 && steps.at(-1).progress === steps.at(-1).total, `progress: ${JSON.stringify(steps)}`);
    const { uri, document: text } = result.structuredContent ?? JSON.parse(result.content.at(-1).text);
    const document = JSON.parse(text);
    ok(document.entries.some((it) => it.content === `A walk, ${mark}.`), 'the entry is in it');
    const [contents] = (await client.readResource({ uri })).contents;
    equal(contents.text, text, 'document');
  });
  await check('is told what is wrong with arguments', async () => {
    const words = await journal.failing('create_entry', { title: mark });
    ok(words.includes('content'), words);
  });
  await check('is told that an entry is not there', async () => {
    const words = await journal.failing('get_entry', { id: 999999999 });
    ok(words.includes('999999999'), words);
  });
  await check('gets a protocol error for an unknown tool', async () => {
    const error = await journal.client.callTool({ name: 'no_such_tool', arguments: {} }).catch((thrown) => thrown);
    equal(error.code, -32602, String(error));
  });
  await check('another user sees nothing of it', async () => {
    const his = await open(bela);
    ok(!(await his.titles()).includes(`${mark}!`), 'title');
    equal((await his.call('search_entries', { query: mark })).entries.length, 0, 'found');
    const hers = await his.failing('get_entry', { id: entry.id });
    const nobodys = await his.failing('get_entry', { id: 999999999 });
    equal(hers.replace(/\d/g, ''), nobodys.replace(/\d/g, ''), 'the same words');
    await his.client.callTool({ name: 'delete_entry', arguments: { id: entry.id } });
    equal((await journal.call('get_entry', { id: entry.id })).entry.title, `${mark}!`, 'still there');
    await his.leave();
  });
  await check('deletes it unasked, having declared nobody to ask', async () => {
    equal((await journal.call('delete_entry', { id: entry.id })).success, true, 'success');
    ok(!(await journal.titles()).includes(`${mark}!`), 'title');
    equal((await journal.call('delete_tag', { id: tag.id })).success, true, 'success of the tag');
  });
}
