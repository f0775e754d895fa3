// Resources, prompts and completions.

import { equal, ok, same } from '../checks.mjs';

const names = (list) => list.map((it) => it.name).sort();
const embedded = (prompt) => prompt.messages.map(({ content }) => content.resource).filter(Boolean);
const words = (prompt) => prompt.messages.map(({ content }) => content.text ?? '').join('\n');

export async function reading({ check, journal, mark }) {
  const { client } = journal;
  const title = `Reading ${mark}`;
  let tag;
  let entry;
  const uri = () => `epicme://entries/${entry.id}`;
  const suggestions = async (ref, argument) => (await client.complete({ ref, argument })).completion.values;

  await check('writes what it is going to read', async () => {
    ({ tag } = await journal.call('create_tag', { name: title }));
    ({ entry } = await journal.call('create_entry', { title, content: `A book, ${mark}.`, tags: [tag.id] }));
  });
  if (!entry) return;
  await check('lists the resources', async () => {
    const listed = (await client.listResources()).resources.map((it) => it.uri);
    for (const wanted of ['epicme://users/current', 'epicme://tags', `epicme://tags/${tag.id}`]) {
      ok(listed.includes(wanted), `${wanted} among ${listed}`);
    }
  });
  await check('lists the resource templates', async () => {
    const { resourceTemplates } = await client.listResourceTemplates();
    const listed = resourceTemplates.map((it) => it.uriTemplate);
    for (const kind of ['entries', 'exports', 'tags']) ok(listed.includes(`epicme://${kind}/{id}`), `templates: ${listed}`);
  });
  await check('lists the prompts with their arguments', async () => {
    const { prompts } = await client.listPrompts();
    const [suggest, summarize] = ['suggest_tags', 'summarize_entries'].map((name) => prompts.find((it) => it.name === name));
    same(names(suggest.arguments), ['entryId'], 'arguments of suggest_tags');
    same(names(summarize.arguments), ['from', 'tags', 'timeZone', 'to'], 'arguments of summarize_entries');
  });
  await check('reads the entry as a resource', async () => {
    const read = await journal.read(uri());
    same([read.id, read.content, read.tags], [entry.id, `A book, ${mark}.`, [{ id: tag.id, uri: `epicme://tags/${tag.id}`, name: title }]], 'entry');
  });
  await check('reads the list of tags and the tag', async () => {
    const tags = await journal.read('epicme://tags');
    ok(tags.some((it) => it.id === tag.id && it.name === title), `${tag.id} among ${JSON.stringify(tags)}`);
    equal((await journal.read(`epicme://tags/${tag.id}`)).name, title, 'name');
  });
  await check('reads the current user', async () => {
    same(await journal.read('epicme://users/current'), (await journal.call('whoami')).user, 'user');
  });
  await check('gets a protocol error for an entry that is not there', async () => {
    const uri = 'epicme://entries/999999999';
    const error = await client.readResource({ uri }).catch((thrown) => thrown);
    equal(error.code, journal.sdk.NOT_FOUND, String(error));
    equal(error.data?.uri, uri, 'URI');
  });
  await check('gets the prompt that suggests tags', async () => {
    const prompt = await client.getPrompt({ name: 'suggest_tags', arguments: { entryId: String(entry.id) } });
    ok(words(prompt).includes(`entry ${entry.id} `), words(prompt));
    same(embedded(prompt).map((it) => it.uri), ['epicme://tags', uri()], 'embedded');
    equal(JSON.parse(embedded(prompt)[1].text).content, `A book, ${mark}.`, 'content');
  });
  await check('gets the prompt that summarizes entries', async () => {
    const args = { tags: String(tag.id), from: '2020-01-01', to: '2100-01-01', timeZone: 'Europe/Budapest' };
    const prompt = await client.getPrompt({ name: 'summarize_entries', arguments: args });
    ok(words(prompt).includes('Europe/Budapest'), words(prompt));
    same(embedded(prompt).map((it) => it.uri), [uri()], 'embedded');
  });
  await check('has an argument of a prompt completed', async () => {
    const ref = { type: 'ref/prompt', name: 'suggest_tags' };
    same(await suggestions(ref, { name: 'entryId', value: title }), [String(entry.id)], 'entryId');
    const other = { type: 'ref/prompt', name: 'summarize_entries' };
    same(await suggestions(other, { name: 'timeZone', value: 'europe/buda' }), ['Europe/Budapest'], 'timeZone');
  });
  await check('has the variable of a template completed', async () => {
    const ref = (template) => ({ type: 'ref/resource', uri: template });
    same(await suggestions(ref('epicme://tags/{id}'), { name: 'id', value: title }), [String(tag.id)], 'tag');
    same(await suggestions(ref('epicme://entries/{id}'), { name: 'id', value: title }), [String(entry.id)], 'entry');
  });
  await check('tidies up what it read', async () => {
    await journal.call('delete_entry', { id: entry.id });
    await journal.call('delete_tag', { id: tag.id });
  });
}
