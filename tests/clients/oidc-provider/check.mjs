// EpicMe behind an authorization server that somebody else wrote.

import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Browser, atOidcProvider } from '../browser.mjs';
import { Checks, equal, ok } from '../checks.mjs';
import { ask as askAt, environmentAt, freePort, serve as run } from '../epicme.mjs';
import { startPostgres } from '../postgres.mjs';
import { Connection } from '../typescript/connection.mjs';
import { dpop } from '../typescript/dpop.mjs';
import { Person } from '../typescript/person.mjs';
import { SECOND } from '../typescript/sdk.mjs';
import { SCOPES, startProvider } from './server.mjs';

const program = process.argv[2];
const CALLBACK = 'http://127.0.0.1:39998/callback';
const { version } = JSON.parse(readFileSync(new URL('./node_modules/oidc-provider/package.json', import.meta.url)));
const checks = new Checks(`oidc-provider ${version}`);
const secret = () => randomBytes(24).toString('base64');

/** Runs `epicme serve` until told to stop. */
const serve = (port, environment) =>
  run(program, {
    ...environmentAt(port),
    EPICME_INTROSPECTION_CACHE: '0s',
    EPICME_INTROSPECTION_CLIENT_ID: 'epicme',
    ...environment,
  });

const port = await freePort();
const resource = `http://127.0.0.1:${port}/mcp`;
const otherResource = 'https://other.example/api';
const [introspectionSecret, robotSecret] = [secret(), secret()];
const provider = await startProvider({ resources: [resource, otherResource], introspectionSecret, robotSecret });
const postgres = startPostgres();
process.on('exit', () => postgres.stop());
const settings = {
  EPICME_DPOP: 'nonce',
  DATABASE_URL: postgres.url,
  EPICME_ISSUER: provider.issuer,
  EPICME_INTROSPECTION_CLIENT_SECRET: introspectionSecret,
};
const epicme = await serve(port, settings);
const metadata = await (await fetch(`${provider.issuer}/.well-known/openid-configuration`)).json();
const introspections = () => provider.calls[new URL(metadata.introspection_endpoint).pathname] ?? 0;

const form = (fields) => ({ method: 'POST', body: new URLSearchParams(fields) });

/** A registered client of one's own, and tokens by the authorization code flow. */
async function tokensFor(user, target) {
  const registered = await (
    await fetch(metadata.registration_endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        redirect_uris: [CALLBACK],
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token'],
      }),
    })
  ).json();
  const verifier = randomBytes(32).toString('base64url');
  const authorize = new URL(metadata.authorization_endpoint);
  authorize.search = new URLSearchParams({
    client_id: registered.client_id,
    response_type: 'code',
    redirect_uri: CALLBACK,
    scope: ['openid', 'offline_access', ...SCOPES].join(' '),
    prompt: 'consent',
    state: 'any',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...(target && { resource: target }),
  });
  const back = await new Browser().travel(authorize, atOidcProvider(user));
  const code = back.searchParams.get('code');
  ok(code, `a code in ${back}`);
  const redeemed = await fetch(
    metadata.token_endpoint,
    form({
      grant_type: 'authorization_code',
      client_id: registered.client_id,
      code,
      redirect_uri: CALLBACK,
      code_verifier: verifier,
      ...(target && { resource: target }),
    }),
  );
  const tokens = await redeemed.json();
  ok(tokens.access_token, JSON.stringify(tokens));
  return { ...tokens, client_id: registered.client_id };
}

/** One modern request with this Authorization header. */
const ask = (authorization, at = resource) => askAt(at, authorization);

/** Refused with a challenge; without `error`, the challenge blames nobody. */
async function refused(authorization, { error } = { error: 'invalid_token' }) {
  const response = await ask(authorization);
  equal(response.status, 401, 'status');
  const challenge = response.headers.get('www-authenticate');
  ok(challenge.startsWith('Bearer '), challenge);
  ok(challenge.includes('resource_metadata='), challenge);
  equal(/error="([^"]*)"/.exec(challenge)?.[1], error, 'error');
}

for (const [name, mode, revision] of SECOND.modes) {
  await checks.check(`the TypeScript client signs in and writes (${name})`, async () => {
    const person = new Person(atOidcProvider('ada'));
    const journal = await Connection.open(new URL(resource), mode, person);
    equal(journal.revision, revision, 'revision');
    const { user } = await journal.call('whoami');
    ok(JSON.stringify(user).includes('ada'), JSON.stringify(user));
    const { entry } = await journal.call('create_entry', { title: name, content: 'By another issuer.' });
    const { entries } = await journal.call('list_entries');
    equal(entries[0].id, entry.id, 'newest');
    ok(person.kept.refresh_token, 'offline_access was asked for and gave a refresh token');
    await journal.client.close();
  });
  await checks.check(`another of its users sees nothing of it (${name})`, async () => {
    const journal = await Connection.open(new URL(resource), mode, new Person(atOidcProvider(`bela-${name}`)));
    equal((await journal.call('list_entries')).entries.length, 0, 'entries');
    await journal.client.close();
  });
}

await dpop({ check: (what, body) => checks.check(what, body), url: resource, answer: atOidcProvider('dora') });

const good = await tokensFor('ada', resource);
await checks.check('a good token is good', async () => equal((await ask(`Bearer ${good.access_token}`)).status, 200, 'status'));
await checks.check('the scheme is good in any case', async () =>
  equal((await ask(`bEARER ${good.access_token}`)).status, 200, 'status'),
);
await checks.check('a token for another resource is refused', async () =>
  refused(`Bearer ${(await tokensFor('ada', otherResource)).access_token}`),
);
await checks.check('a token for no resource is refused', async () =>
  refused(`Bearer ${(await tokensFor('ada')).access_token}`),
);
await checks.check('a refresh token is refused', () => refused(`Bearer ${good.refresh_token}`));
await checks.check('an ID token is refused, though introspection of it is an error', async () => {
  ok(good.id_token, 'there is one');
  await refused(`Bearer ${good.id_token}`);
});
await checks.check('a made-up token is refused', () => refused('Bearer made-up'));
await checks.check('a token of a client without a user is refused', async () => {
  const authorization = `Basic ${btoa(`robot:${encodeURIComponent(robotSecret)}`)}`;
  const request = form({ grant_type: 'client_credentials', scope: SCOPES.join(' '), resource });
  const granted = await (await fetch(metadata.token_endpoint, { ...request, headers: { authorization } })).json();
  ok(granted.access_token, JSON.stringify(granted));
  await refused(`Bearer ${granted.access_token}`);
});
await checks.check('credentials of another scheme are refused and shown to nobody', async () => {
  const before = introspections();
  await refused(`Basic ${btoa('ada:secret')}`, {});
  await refused(undefined, {});
  equal(introspections(), before, 'introspections');
});
await checks.check('a revoked token is refused at once, where nothing is cached', async () => {
  const { access_token: token, client_id } = await tokensFor('ada', resource);
  equal((await ask(`Bearer ${token}`)).status, 200, 'before');
  const revoked = await fetch(metadata.revocation_endpoint, form({ token, client_id }));
  equal(revoked.status, 200, 'revocation');
  await refused(`Bearer ${token}`);
});
await checks.check('its metadata is relayed for clients of 2025-03-26', async () => {
  const relayed = await (await fetch(new URL('/.well-known/oauth-authorization-server', resource))).json();
  equal(relayed.issuer, provider.issuer, 'issuer');
  equal(relayed.token_endpoint, metadata.token_endpoint, 'token_endpoint');
});
await checks.check('where the audience may be absent, a refresh token is refused all the same', async () => {
  const elsewhere = await freePort();
  const lenient = await serve(elsewhere, { ...settings, EPICME_AUDIENCE_OPTIONAL: 'on' });
  const at = `http://127.0.0.1:${elsewhere}/mcp`;
  try {
    const { access_token: anywhere, refresh_token: refresh } = await tokensFor('ada');
    equal((await ask(`Bearer ${anywhere}`, at)).status, 200, 'status of a token for no resource');
    equal((await ask(`Bearer ${refresh}`, at)).status, 401, 'status of a refresh token');
    equal((await ask(`Bearer ${good.access_token}`, at)).status, 401, 'status of a token for another resource');
  } finally {
    await lenient.stop();
  }
});
await checks.check('with a wrong secret of its own the server is at fault, not the token', async () => {
  const elsewhere = await freePort();
  const wrong = await serve(elsewhere, { ...settings, EPICME_INTROSPECTION_CLIENT_SECRET: 'wrong' });
  try {
    const response = await ask(`Bearer ${good.access_token}`, `http://127.0.0.1:${elsewhere}/mcp`);
    equal(response.status, 503, 'status');
    equal(response.headers.get('www-authenticate'), null, 'challenge');
    ok(!wrong.said.some((line) => line.includes(good.access_token)), 'the token is not logged');
  } finally {
    await wrong.stop();
  }
});
await checks.check('when it is down, nobody is told that the token is bad', async () => {
  equal((await ask(`Bearer ${good.access_token}`)).status, 200, 'before');
  await provider.stop();
  const response = await ask(`Bearer ${good.access_token}`);
  equal(response.status, 503, 'status');
  ok(Number(response.headers.get('retry-after')) > 0, 'Retry-After');
  equal(response.headers.get('www-authenticate'), null, 'challenge');
});
await checks.check('no token and no secret is in the log', async () => {
  for (const hidden of [good.access_token, good.refresh_token, introspectionSecret]) {
    ok(!epicme.said.some((line) => line.includes(hidden)), 'a secret in the log');
  }
});
await checks.check('the server ends in order', async () => equal(await epicme.stop(), 0, 'exit code'));

checks.end();
