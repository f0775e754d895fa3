// Canaille (PyPI), whose clients are made by its command line.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Browser } from '../clients/browser.mjs';
import { equal, ok } from '../clients/checks.mjs';
import { freePort } from '../clients/epicme.mjs';
import { CALLBACK } from './client.mjs';
import { Program, inVenv, pinned, run } from './programs.mjs';

const NAME = 'canaille';
export const version = pinned(NAME, NAME);
export const parallel = false;

const SCOPES = ['user:read', 'entries:read', 'entries:write', 'tags:read', 'tags:write'];

/** The pages ask for the name, the password and a consent, one after another. */
const person = (user) => (html) => {
  if (html.includes('name="login"')) return { within: 'name="login"', fill: { login: user } };
  if (html.includes('name="password"')) return { within: 'name="password"', fill: { password: `correct horse ${user}` } };
  return { within: 'name="answer"', button: ['answer', 'accept'] };
};

const server = async ({ resource, folder }) => {
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const secret = randomBytes(24).toString('hex');
  const key = { ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }), kid: '2026-11', use: 'sig', alg: 'RS256' };
  const configuration = join(folder, `${port}.toml`);
  const inToml = Object.entries(key).map(([name, value]) => `${name} = "${value}"`);
  writeFileSync(
    configuration,
    `SECRET_KEY = "only for a test"
PREFERRED_URL_SCHEME = "http"
SERVER_NAME = "127.0.0.1:${port}"
SESSION_COOKIE_SECURE = false
[CANAILLE]
DATABASE = "sql"
[CANAILLE_SQL]
DATABASE_URI = "sqlite:///${join(folder, `${port}.sqlite`)}"
[CANAILLE_OIDC]
DYNAMIC_CLIENT_REGISTRATION_OPEN = true
REQUIRE_NONCE = false
ACTIVE_JWKS = [{ ${inToml.join(', ')} }]
`,
  );
  const env = { CANAILLE_CONFIG: configuration };
  const canaille = (...args) => run(inVenv(NAME, 'canaille'), args, { env });
  canaille('install');
  for (const user of ['ada', 'bela']) {
    const named = ['--user-name', user, '--family-name', user, '--formatted-name', user, '--emails', `${user}@journal.example`];
    canaille('create', 'user', ...named, '--password', `correct horse ${user}`);
  }
  const client = (id, name, method, ...more) =>
    canaille(
      ...['create', 'client', '--client-id', id, '--client-name', name, '--client-uri', 'https://journal.example'],
      ...['--token-endpoint-auth-method', method, '--redirect-uris', CALLBACK, ...more],
    );
  client(resource, 'EpicMe', 'client_secret_basic', '--client-secret', secret);
  const grants = ['--grant-types', 'authorization_code', '--grant-types', 'refresh_token', '--response-types', 'code'];
  client('host', 'MCP host', 'none', ...grants, ...SCOPES.flatMap((scope) => ['--scope', scope]), '--audience', resource);

  const ready = `${base}/.well-known/openid-configuration`;
  const args = ['run', '--bind', `127.0.0.1:${port}`];
  const program = new Program(inVenv(NAME, 'canaille'), args, { env, ready, log: join(folder, `${port}.log`) });
  await program.start();
  const file = join(folder, `${port}.secret`);
  writeFileSync(file, secret, { mode: 0o600 });
  const browsers = new Map();
  return {
    places: [
      ['https://login.example', base],
      ['https://journal.example', new URL(resource).origin],
    ],
    files: { EPICME_INTROSPECTION_CLIENT_SECRET_FILE: file },
    secrets: [secret],
    visit: (user) => (url) => {
      browsers.set(user, new Browser());
      return browsers.get(user).travel(url, person(user));
    },
    register(host) {
      host.id = 'host';
    },
    // Its tokens have times in seconds and no id: two of a client in one second are the same, and the second is its error 500.
    pause: 1100,
    // It lets no public client revoke; the person takes the access back.
    async revoke(host, tokens, user) {
      const page = await browsers.get(user).open(`${base}/consent/`);
      const [path] = /\/consent\/revoke\/[^"]+/.exec(page) ?? [];
      ok(path, `a consent in ${page}`);
      await browsers.get(user).open(base + path);
    },
    stop: () => program.stop(),
    start: () => program.start(),
  };
};

/** By the headings of the page. */
export const ways = { 'By introspection': server };

/** What is tried besides. */
export const besides = {
  'A host that registers itself': {
    way: 'By introspection',
    start: server,
    go: (journey) =>
      journey.check('its token is for itself, and 401', async () => {
        const host = await journey.client();
        await host.register({ client_uri: 'https://host.example' });
        const tokens = await journey.signIn(host, 'ada', SCOPES.join(' '));
        equal((await journey.tools(tokens)).status, 401, 'status');
        await journey.logged('inactive token');
      }),
  },
};
