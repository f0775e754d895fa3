// What a person and a host go through with one authorization server and one configuration of a page.

import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as later } from 'node:timers/promises';
import { equal, ok } from '../clients/checks.mjs';
import { ask, environmentAt, freePort, serve } from '../clients/epicme.mjs';
import { Client, challengeOf } from './client.mjs';
import { settings } from './page.mjs';

/** How long EpicMe remembers that a token is good, and that it is not, in seconds. The page leaves both as they are. */
const CACHE = 1;
/** How long it asks an authorization server that is back again, at most: the circuit, and a slow machine. */
const AGAIN = 20;

/** How long a line of the log may be on its way, in seconds. */
const LONGEST_LINE = 5;

const READ = 'user:read entries:read';

/** Waits until this answers with a status. Gives the answer. */
async function until(status, request, seconds) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const response = await request();
    if (response.status === status) return response;
    if (Date.now() > end) throw new Error(`after ${seconds} s the status is still ${response.status}, not ${status}`);
    await later(100);
  }
}

/** A place in which EpicMe runs with one authorization server. */
export class Journey {
  /**
   * `lines` are those of the page; `start` starts the server for a resource, and says what it is like:
   *
   * places, files    as `settings` has them
   * secrets          what must never be in EpicMe's log
   * visit(user)      the person at the server's pages, as `Client.signIn` has it
   * register(client) how the host's client comes to be known
   * scopes, besides  what the host asks for besides, for a refresh token
   * other            a resource that the server knows and EpicMe is not, if it knows the difference
   * keysAlone        whether tokens are verified by keys: then EpicMe itself is told of revocations, and needs no server
   * pause            how long the server needs between two tokens, in milliseconds
   * revoke(client, tokens, user)  how a token ends there, if not by RFC 7009
   * stop, start      an outage, and its end
   */
  constructor({ checks, name, program, database, folder, lines, start }) {
    Object.assign(this, { checks, name, program, database, folder, lines, startServer: start });
  }

  check(what, body) {
    return this.checks.check(`${this.name}: ${what}`, body);
  }

  async begin() {
    const port = await freePort();
    this.resource = `http://127.0.0.1:${port}/mcp`;
    this.server = await this.startServer({ resource: this.resource, folder: this.folder, database: this.database });
    this.revocationSecret = 'told by the operator';
    this.environment = {
      ...environmentAt(port),
      DATABASE_URL: this.database,
      EPICME_INTROSPECTION_CACHE: `${CACHE}s`,
      EPICME_INTROSPECTION_NEGATIVE_CACHE: `${CACHE}s`,
      EPICME_REVOCATION_SECRET: this.revocationSecret,
      ...settings(this.lines, this.server.places, this.server.files ?? {}),
    };
    this.epicme = await serve(this.program, this.environment);
  }

  async end() {
    if (this.epicme) equal(await this.epicme.stop(), 0, 'exit code');
    await this.server?.stop();
  }

  /** One request with a bearer token. */
  tools(tokens) {
    return ask(this.resource, `Bearer ${tokens.access_token}`);
  }

  async call(tokens, name, args = {}) {
    const response = await ask(this.resource, `Bearer ${tokens.access_token}`, 'tools/call', { name, arguments: args });
    equal(response.status, 200, `status of ${name}`);
    const { result } = await response.json();
    ok(result && !result.isError, `${name}: ${JSON.stringify(result)}`);
    return result.structuredContent;
  }

  /** What `epicme doctor` says of a token, and its exit code. */
  doctor(tokens) {
    const file = join(this.folder, `${new URL(this.resource).port}.token`);
    writeFileSync(file, tokens.access_token, { mode: 0o600 });
    return new Promise((resolve) => {
      execFile(this.program, ['doctor', '--token-file', file], { env: this.environment }, (error, stdout, stderr) =>
        resolve({ code: error?.code ?? 0, said: stdout + stderr }),
      );
    });
  }

  /** Waits until the log says this. */
  async logged(text) {
    const end = Date.now() + LONGEST_LINE * 1000;
    while (!this.epicme.said.some((line) => line.includes(text))) {
      if (Date.now() > end) throw new Error(`the log does not say: ${text}\n${this.epicme.said.join('\n')}`);
      await later(50);
    }
  }

  async client() {
    const client = await Client.find(this.resource);
    await (this.server.register ?? ((it) => it.register()))(client);
    return client;
  }

  async signIn(client, user, scope, options = {}) {
    const { scopes = '', besides = {}, pause = 0 } = this.server;
    await later(pause);
    return client.signIn(this.server.visit(user), `${scope} ${scopes}`.trim(), { besides, ...options });
  }

  /** All of it. */
  async go() {
    try {
      await this.check('EpicMe starts with what the page says', () => this.begin());
      if (!this.epicme) return;
      await this.signingIn();
      await this.refusals();
      await this.refreshAndRevocation();
      await this.outage();
      await this.check('no token and no secret is in the log', async () => {
        for (const hidden of [this.ada.access_token, this.ada.refresh_token, ...this.server.secrets]) {
          ok(!this.epicme.said.some((line) => line.includes(hidden)), 'a secret in the log');
        }
      });
    } finally {
      await this.check('EpicMe ends in order', () => this.end());
    }
  }

  async signingIn() {
    await this.check('a host registers, a person signs in and is known', async () => {
      this.host = await this.client();
      this.ada = await this.signIn(this.host, 'ada', READ);
      const { user, clientId, scopes } = await this.call(this.ada, 'whoami');
      ok(user.subject, 'a subject');
      equal(clientId, this.host.id, 'client');
      equal(scopes.join(' '), READ, 'scopes');
    });
    await this.check('a write without its scope is 403, and good after the step-up that the challenge names', async () => {
      const write = { title: this.name, content: 'By another issuer.' };
      const refused = await ask(this.resource, `Bearer ${this.ada.access_token}`, 'tools/call', { name: 'create_entry', arguments: write });
      equal(refused.status, 403, 'status');
      const { error, scope } = challengeOf(refused);
      equal(error, 'insufficient_scope', 'error');
      ok(scope.split(' ').includes('entries:write'), `scope=${scope}`);
      this.ada = await this.signIn(this.host, 'ada', [...new Set([...READ.split(' '), ...scope.split(' ')])].join(' '));
      const { entry } = await this.call(this.ada, 'create_entry', write);
      equal((await this.call(this.ada, 'list_entries')).entries[0].id, entry.id, 'newest');
    });
    await this.check('another person sees nothing of it', async () => {
      const bela = await this.signIn(await this.client(), 'bela', READ);
      equal((await this.call(bela, 'list_entries')).entries.length, 0, 'entries');
    });
    await this.check('epicme doctor finds nothing wrong with the token', async () => {
      const { code, said } = await this.doctor(this.ada);
      equal(code, 0, said);
    });
  }

  async refusals() {
    await this.check('a made-up token and a refresh token are refused', async () => {
      for (const token of ['made-up', this.ada.refresh_token]) {
        const refused = await ask(this.resource, `Bearer ${token}`);
        equal(refused.status, 401, 'status');
        equal(challengeOf(refused).error, 'invalid_token', 'error');
      }
    });
    if (!this.server.other) return;
    await this.check('a token for another resource is refused', async () => {
      const elsewhere = await this.signIn(this.host, 'ada', READ, { resource: this.server.other });
      equal((await this.tools(elsewhere)).status, 401, 'status');
    });
  }

  async refreshAndRevocation() {
    await this.check('a refreshed token is good', async () => {
      await later(this.server.pause ?? 0);
      const next = await this.host.refresh(this.ada);
      ok(next.access_token !== this.ada.access_token, 'it is another token');
      this.ada = { ...this.ada, ...next };
      await this.call(this.ada, 'create_entry', { title: 'refreshed', content: 'By another token.' });
    });
    if (this.server.keysAlone) {
      await this.check('a token that EpicMe is told to be revoked is refused at once', async () => {
        const { access_token: token } = await this.signIn(this.host, 'ada', READ);
        equal((await this.tools({ access_token: token })).status, 200, 'status before');
        const told = await fetch(new URL('/oauth/revoked', this.resource), {
          method: 'POST',
          headers: { authorization: `Bearer ${this.revocationSecret}` },
          body: new URLSearchParams({ token }),
        });
        equal(told.status, 200, 'status of the report');
        equal((await this.tools({ access_token: token })).status, 401, 'status after');
      });
      return;
    }
    await this.check('a revoked token is refused within the time of the cache', async () => {
      const tokens = await this.signIn(this.host, 'ada', READ);
      equal((await this.tools(tokens)).status, 200, 'status before');
      const revoke = this.server.revoke ?? ((host, it) => host.revoke(it.access_token));
      await revoke(this.host, tokens, 'ada');
      const response = await until(401, () => this.tools(tokens), CACHE + 5);
      equal(challengeOf(response).error, 'invalid_token', 'error');
    });
  }

  async outage() {
    if (this.server.keysAlone) {
      await this.check('an outage of the server is not noticed', async () => {
        await this.server.stop();
        await later(CACHE * 1000 + 100);
        equal((await this.tools(this.ada)).status, 200, 'status');
        await this.server.start();
      });
      return;
    }
    await this.check('an outage is 503 and blames no token, and ends by itself', async () => {
      this.ada = { ...this.ada, ...(await this.signIn(this.host, 'ada', READ)) };
      equal((await this.tools(this.ada)).status, 200, 'status before');
      await this.server.stop();
      const response = await until(503, () => this.tools(this.ada), CACHE + 5);
      ok(Number(response.headers.get('retry-after')) > 0, 'Retry-After');
      equal(response.headers.get('www-authenticate'), null, 'challenge');
      await this.server.start();
      await until(200, () => this.tools(this.ada), AGAIN);
    });
  }
}
