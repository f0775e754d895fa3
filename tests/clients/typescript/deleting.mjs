// Deletions that the user is asked about. The modern client answers `input_required` by itself, from
// the same handler that answers a request of the legacy server's.

import { equal, ok, same } from '../checks.mjs';

/** Each way of not saying yes. */
const REFUSALS = {
  declines: { action: 'decline' },
  'closes the question': { action: 'cancel' },
  'does not tick the box': { action: 'accept', content: { confirmed: false } },
};

export async function deleting({ check, open, ada, mark }) {
  const title = `Deleting ${mark}`;
  const asked = [];
  let answer;
  let journal;
  let entry;
  const elicit = (question) => {
    asked.push(question);
    return answer;
  };

  await check('connects, declaring that it can ask its user', async () => {
    const opened = await open(ada, { elicit });
    ({ entry } = await opened.call('create_entry', { title, content: 'Gone soon.' }));
    journal = opened;
  });
  if (!journal) return;
  for (const [how, refusal] of Object.entries(REFUSALS)) {
    await check(`deletes nothing if the user ${how}`, async () => {
      asked.length = 0;
      answer = refusal;
      const result = await journal.call('delete_entry', { id: entry.id });
      equal(asked.length, 1, 'questions');
      equal(result.success, false, 'success');
      equal((await journal.call('get_entry', { id: entry.id })).entry.title, title, 'still there');
    });
  }
  await check('deletes the entry if the user confirms it', async () => {
    asked.length = 0;
    answer = { action: 'accept', content: { confirmed: true } };
    const result = await journal.call('delete_entry', { id: entry.id });
    equal(asked.length, 1, 'questions');
    ok(asked[0].message.includes(title), `the question names the entry: ${asked[0].message}`);
    same(asked[0].requestedSchema.required, ['confirmed'], 'what is asked for');
    equal(result.success, true, 'success');
    const words = await journal.failing('get_entry', { id: entry.id });
    ok(words.includes(String(entry.id)), words);
  });
  await check('asks nobody about an entry that is gone', async () => {
    asked.length = 0;
    equal((await journal.call('delete_entry', { id: entry.id })).success, false, 'success');
    equal(asked.length, 0, 'questions');
    await journal.leave();
  });
}
