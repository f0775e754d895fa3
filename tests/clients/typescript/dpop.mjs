// The official client with tokens that are bound to its key (DPoP, RFC 9449), at a server that demands nonces (§9).

import { DpopSession } from '@modelcontextprotocol/client';
import { equal, ok } from '../checks.mjs';
import { ask } from '../epicme.mjs';
import { Connection } from './connection.mjs';
import { Person } from './person.mjs';
import { SECOND } from './sdk.mjs';

/** A person whose client has a key. */
class KeyHolder extends Person {
  session = DpopSession.create();

  dpop() {
    return this.session;
  }
}

/**
 * The checks against the server at `url`, by a person who answers the pages of its authorization server like this. Each of the
 * server's processes remembers the proofs that it has seen itself.
 */
export async function dpop({ check, url, answer, processes = 1 }) {
  for (const [name, mode, revision] of SECOND.modes) {
    await check(`DPoP, ${name}: a token that is bound to the client's key is used with proofs and nonces`, async () => {
      const person = new KeyHolder(answer);
      const journal = await Connection.open(new URL(url), mode, person);
      equal(journal.revision, revision, 'revision');
      equal(person.kept.token_type, 'DPoP', 'token_type');
      for (let n = 0; n < 4; n += 1) await journal.call('create_entry', { title: `${name} ${n}`, content: 'Bound.' });
      ok((await person.session).nonceFor(url), 'the server gave a nonce');
      const refreshed = { ...person.kept, access_token: 'unknown' };
      person.saveTokens(refreshed);
      const again = await Connection.open(new URL(url), mode, person);
      ok((await again.titles()).includes(`${name} 3`), 'after a refresh, which its key proves as well');
      equal(person.asked.length, 1, 'trips to the browser');
      equal(person.kept.token_type, 'DPoP', 'token_type of the refreshed token');
      await again.client.close();
      await journal.client.close();
    });
  }

  await check('DPoP: the token is of no use without the key', async () => {
    const [person, thief] = [new KeyHolder(answer), await DpopSession.create()];
    const journal = await Connection.open(new URL(url), SECOND.modes[0][1], person);
    const { access_token: accessToken } = person.kept;
    const owner = await person.session;
    const nonce = owner.nonceFor(url);
    const send = async (session, changed = {}) => {
      const proof = await session.buildProof({ htm: 'POST', htu: url, accessToken, nonce, ...changed });
      return { proof, response: await ask(url, `DPoP ${accessToken}`, 'tools/list', {}, { dpop: proof }) };
    };
    const refused = async (response, error) => {
      equal(response.status, 401, `status of ${error}`);
      const challenge = response.headers.get('www-authenticate');
      ok(challenge.includes(`error="${error}"`), challenge);
    };
    const { proof, response } = await send(owner);
    equal(response.status, 200, 'status with the key');
    await refused(await ask(url, `Bearer ${accessToken}`), 'invalid_token');
    await refused((await send(thief)).response, 'invalid_token');
    const again = () => ask(url, `DPoP ${accessToken}`, 'tools/list', {}, { dpop: proof });
    for (let other = 1; other < processes; other += 1) await again();
    await refused(await again(), 'invalid_dpop_proof');
    await refused((await send(owner, { htu: 'http://127.0.0.1:1/mcp' })).response, 'invalid_dpop_proof');
    await refused((await send(owner, { accessToken: 'another' })).response, 'invalid_dpop_proof');
    const { response: stale } = await send(owner, { nonce: 'made-up' });
    await refused(stale, 'use_dpop_nonce');
    ok(stale.headers.get('dpop-nonce'), 'the nonce to use');
    await journal.client.close();
  });
}
