// Tags for a new entry, suggested by the host's model. A modern server asks no model.

import { equal, ok, same, within } from '../checks.mjs';

export async function sampling({ check, open, ada, mark }) {
  const name = `Sampling ${mark}`;
  const asked = [];
  const sample = (question) => {
    asked.push(question);
    return { model: 'none', role: 'assistant', content: { type: 'text', text: JSON.stringify([name]) } };
  };

  await check('lends its model, which suggests a tag for a new entry', async () => {
    const journal = await open(ada, { sample });
    await within(journal.listening, 'the general stream');
    await journal.client.setLoggingLevel('info');
    const { entry } = await journal.call('create_entry', { title: name, content: 'What is it about?' });
    let told;
    do told = await journal.logged.next('what became of the suggestion');
    while (told.logger !== 'tag-suggestions');
    equal(told.data.message, 'Suggested tags', 'log message');
    equal(told.data.entryId, entry.id, 'entry');
    equal(asked.length, 1, 'questions');
    ok(asked[0].messages[0].content.text.includes(name), 'the question shows the entry');
    const { tags } = (await journal.call('get_entry', { id: entry.id })).entry;
    same(tags.map((it) => it.name), [name], 'tags');
    await journal.call('delete_entry', { id: entry.id });
    await journal.call('delete_tag', { id: tags[0].id });
    await journal.leave();
  });
}
