// What the server tells unasked: `resources/subscribe` and the general stream of a legacy session, or
// `subscriptions/listen`.

import { equal } from '../checks.mjs';

export async function watching({ check, open, ada, bela, mark }) {
  const opened = [];
  const connect = async (person) => {
    opened.push(await open(person));
    return opened.at(-1);
  };
  const change = (journal, { id }, mood) => journal.call('update_entry', { id, mood });
  const uri = ({ id }) => `epicme://entries/${id}`;
  let hers;
  let his;
  let entry;
  let other;
  let watches = false;

  await check('subscribes to an entry', async () => {
    hers = await connect(ada);
    ({ entry } = await hers.call('create_entry', { title: `Watching ${mark}`, content: 'Changes soon.' }));
    his = await connect(bela);
    ({ entry: other } = await his.call('create_entry', { title: `Watching ${mark}`, content: 'Changes too.' }));
    // A URI says nothing of whose it is, so that both may ask for both.
    await hers.watch(uri(entry), uri(other));
    await his.watch(uri(entry), uri(other));
    watches = true;
  });
  if (watches) {
    await check('is told of an update that it made itself', async () => {
      await change(hers, entry, 'calm');
      equal(await hers.nextUpdate(), uri(entry), 'told');
      equal((await hers.read(uri(entry))).mood, 'calm', 'read again');
    });
    await check('is told of an update that the user made elsewhere', async () => {
      const elsewhere = await connect(ada);
      await change(elsewhere, entry, 'glad');
      equal(await hers.nextUpdate(), uri(entry), 'told');
      equal((await hers.read(uri(entry))).mood, 'glad', 'read again');
    });
    await check('is not told of what another user changes, nor that user of hers', async () => {
      // Of three changes by turns, each hears their own, which shows that there was nothing in between.
      await change(his, other, 'calm');
      equal(await his.nextUpdate(), uri(other), 'told him');
      await change(hers, entry, 'calm');
      equal(await hers.nextUpdate(), uri(entry), 'told her');
      await change(his, other, 'glad');
      equal(await his.nextUpdate(), uri(other), 'told him again');
    });
    await check('is told no more after it unsubscribed', async () => {
      await hers.unwatch(uri(entry), uri(other));
      await hers.watch('epicme://tags');
      await change(hers, entry, 'tired');
      const { tag } = await hers.call('create_tag', { name: `Watching ${mark}` });
      equal(await hers.nextUpdate(), 'epicme://tags', 'told first');
      await hers.call('delete_tag', { id: tag.id });
    });
  }
  await check('tidies up what it watched', async () => {
    for (const [journal, written] of [[hers, entry], [his, other]]) {
      if (written) await journal.call('delete_entry', { id: written.id });
    }
    for (const journal of opened) await journal.leave();
  });
}
