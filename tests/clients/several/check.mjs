// Official clients of the legacy era, none of which begins anew when its session is gone: their sessions go on in two
// processes, and through a restart of both.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { atMockAuth } from '../browser.mjs';
import { Checks, equal, ok, within } from '../checks.mjs';
import { Connection } from '../typescript/connection.mjs';
import { dpop } from '../typescript/dpop.mjs';
import { FIRST, SECOND } from '../typescript/sdk.mjs';
import { startServers } from './servers.mjs';

const [program, mockAuth, python, script] = process.argv.slice(2);
const checks = new Checks('several processes');
const servers = await startServers(program, mockAuth);

/** What `Connection` asks of a person: a token, once and for all. */
const holder = (token) => ({
  get redirectUrl() {},
  get clientMetadata() {
    return { redirect_uris: [] };
  },
  clientInformation: () => ({ client_id: 'check' }),
  tokens: () => ({ access_token: token, token_type: 'Bearer' }),
  saveTokens() {},
  redirectToAuthorization() {
    throw new Error('the token is refused');
  },
  saveCodeVerifier() {},
  codeVerifier: () => '',
});

/** The check of one client: what it does in its session, before and after a restart. */
async function lives({ name, connect }) {
  let client;
  await checks.check(`${name}: a session is used in turn by two processes`, async () => {
    client = await connect();
    for (let n = 0; n < 6; n += 1) await client.write(`${name} ${n}`);
  });
  if (!client) return;
  await checks.check(`${name}: what changes in either process is told`, async () => {
    await client.watch();
    for (let n = 0; n < 4; n += 1) await client.change(n);
  });
  await checks.check(`${name}: its answers reach the process that asks`, async () => {
    for (let n = 0; n < 4; n += 1) await client.remove();
  });
  await checks.check(`${name}: it goes on through a restart of both`, async () => {
    await servers.restart();
    for (let n = 0; n < 6; n += 1) await client.write(`${name} later ${n}`);
    for (let n = 0; n < 2; n += 1) await client.remove();
  });
  await checks.check(`${name}: it ends its session everywhere`, () => client.leave());
}

/** A client of the TypeScript SDK. */
const typescript = (sdk, mode) => ({
  name: `${sdk === FIRST ? '@modelcontextprotocol/sdk' : '@modelcontextprotocol/client'} ${sdk.version}`,
  async connect() {
    let asked = 0;
    const elicit = () => {
      asked += 1;
      return { action: 'accept', content: { confirmed: true } };
    };
    const person = holder(await servers.token(sdk.version));
    const connection = await Connection.open(new URL(servers.url), mode, person, sdk, { elicit });
    equal(connection.revision, '2025-11-25', 'revision');
    const session = connection.transport.sessionId;
    const ids = [];
    const create = async (title) => {
      const { entry } = await connection.call('create_entry', { title, content: title });
      return entry.id;
    };
    let watched;
    return {
      async write(title) {
        ids.push(await create(title));
        equal(connection.transport.sessionId, session, 'the session');
      },
      async watch() {
        watched = ids[0];
        await connection.watch(`epicme://entries/${watched}`);
      },
      async change(n) {
        await connection.call('update_entry', { id: watched, mood: `mood ${n}` });
        equal(await connection.nextUpdate(), `epicme://entries/${watched}`, 'the update');
      },
      async remove() {
        const before = asked;
        const result = await connection.call('delete_entry', { id: ids.pop() });
        ok(result.success, 'it was deleted');
        equal(asked, before + 1, 'questions');
      },
      leave: () => connection.leave(),
    };
  },
});

/** The Python client, which does what it is told line by line. */
const other = {
  name: 'mcp (Python)',
  async connect() {
    const child = spawn(python, ['-B', script, servers.url, await servers.token('python')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const tell = async (...words) => {
      child.stdin.write(`${JSON.stringify(words)}\n`);
      const { value, done } = await within(lines.next(), words.join(' '), 30);
      ok(!done, 'the client goes on');
      equal(value, 'ok', words.join(' '));
    };
    await tell('connect');
    return {
      write: (title) => tell('write', title),
      watch: () => tell('watch'),
      change: (n) => tell('change', `mood ${n}`),
      remove: () => tell('remove'),
      leave: () => tell('leave'),
    };
  },
};

try {
  await lives(typescript(FIRST));
  await lives(typescript(SECOND, 'legacy'));
  if (python) await lives(other);
  // Each request goes to the other process than the one before, which gave the nonce.
  const check = (what, body) => checks.check(what, body);
  await dpop({ check, url: servers.url, answer: atMockAuth('1'), processes: 2 });
} finally {
  await servers.stop();
}
checks.end();
