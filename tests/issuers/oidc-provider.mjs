// oidc-provider (npm), in this process, by the server of tests/clients.

import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Browser, atOidcProvider } from '../clients/browser.mjs';
import { equal, ok } from '../clients/checks.mjs';
import { ask } from '../clients/epicme.mjs';
import { startProvider } from '../clients/oidc-provider/server.mjs';

export const { version } = JSON.parse(
  readFileSync(new URL('../clients/oidc-provider/node_modules/oidc-provider/package.json', import.meta.url)),
);
export const parallel = true;

const OTHER = 'https://other.example/api';
const SECRET_KEY = 'EPICME_INTROSPECTION_CLIENT_SECRET_FILE';

/** A server whose client for introspection has this secret, of whatever kind. */
const serverWith =
  (options = {}) =>
  async ({ resource, folder }) => {
    const { secret = randomBytes(24).toString('base64'), keysAlone, ...rest } = options;
    const provider = await startProvider({
      resources: [resource, OTHER],
      introspectionSecret: secret,
      robotSecret: randomBytes(24).toString('base64'),
      ...rest,
    });
    const file = join(folder, `${new URL(provider.issuer).port}.secret`);
    writeFileSync(file, secret, { mode: 0o600 });
    return {
      places: [['https://login.example', provider.issuer]],
      files: { [SECRET_KEY]: file },
      secrets: [secret],
      visit: (user) => (url) => new Browser().travel(url, atOidcProvider(user)),
      scopes: 'openid offline_access',
      besides: { prompt: 'consent' },
      other: OTHER,
      keysAlone,
      stop: provider.stop,
      start: provider.start,
    };
  };

/** A key pair of P-256: its public key as a JWK, and its private key in PEM. */
function keyPair() {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    jwk: pair.publicKey.export({ format: 'jwk' }),
    pem: pair.privateKey.export({ format: 'pem', type: 'pkcs8' }),
  };
}

const key = keyPair();

/** By the headings of the page. */
export const ways = {
  'Opaque tokens': serverWith(),
  'The secret in the form': serverWith({ introspector: { token_endpoint_auth_method: 'client_secret_post' } }),
  'A key in place of a secret': serverWith({
    secret: key.pem,
    introspector: {
      client_secret: undefined,
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [{ ...key.jwk, kid: '2026-11', use: 'sig', alg: 'ES256' }] },
    },
  }),
  'Signed replies': serverWith({ signed: true, introspector: { introspection_signed_response_alg: 'RS256' } }),
  JWT: serverWith({ tokens: 'jwt', keysAlone: true }),
};

/** What is tried besides: the page says that it works, or that it does not. */
export const besides = {
  'DPoP, with what is set for opaque tokens': { way: 'Opaque tokens', start: serverWith(), go: boundTokens },
  'JWT with what is set for opaque tokens': { way: 'Opaque tokens', start: serverWith({ tokens: 'jwt' }), go: notIntrospected },
  'JWT with EPICME_JWT=introspected': {
    way: 'Opaque tokens',
    and: [['EPICME_JWT', 'introspected']],
    start: serverWith({ tokens: 'jwt' }),
    go: notIntrospectedEither,
  },
};

/** A proof of RFC 9449. */
function proof({ jwk, pem }, method, url, token, nonce) {
  const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { jti: randomBytes(12).toString('base64url'), htm: method, htu: url, iat: Math.floor(Date.now() / 1000) };
  if (nonce) claims.nonce = nonce;
  if (token) claims.ath = createHash('sha256').update(token).digest('base64url');
  const text = `${encoded({ typ: 'dpop+jwt', alg: 'ES256', jwk })}.${encoded(claims)}`;
  const signature = sign('sha256', Buffer.from(text), { key: createPrivateKey(pem), dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}

async function boundTokens(journey) {
  await journey.check('a token that is bound to a key needs a proof of it, and each proof once', async () => {
    const mine = keyPair();
    const client = await journey.client();
    const headers = (nonce) => ({ dpop: proof(mine, 'POST', client.metadata.token_endpoint, undefined, nonce) });
    const { access_token: token, token_type } = await journey.signIn(client, 'ada', 'user:read', { headers });
    equal(token_type, 'DPoP', 'token_type');
    const shown = { dpop: proof(mine, 'POST', journey.resource, token) };
    const call = () => ask(journey.resource, `DPoP ${token}`, 'tools/list', {}, shown);
    equal((await call()).status, 200, 'status with a proof');
    equal((await call()).status, 401, 'status with the same proof');
    equal((await ask(journey.resource, `Bearer ${token}`)).status, 401, 'status without one');
    const other = { dpop: proof(keyPair(), 'POST', journey.resource, token) };
    equal((await ask(journey.resource, `DPoP ${token}`, 'tools/list', {}, other)).status, 401, "status with another key's proof");
  });
}

async function notIntrospected(journey) {
  await journey.check('a token is 401, and epicme doctor says why', async () => {
    const tokens = await journey.signIn(await journey.client(), 'ada', 'user:read');
    equal((await journey.tools(tokens)).status, 401, 'status');
    const { code, said } = await journey.doctor(tokens);
    equal(code, 1, 'exit code of epicme doctor');
    ok(said.includes('unsupported_token_type'), said);
  });
}

async function notIntrospectedEither(journey) {
  await journey.check('a token is 503, and the log says why', async () => {
    const tokens = await journey.signIn(await journey.client(), 'ada', 'user:read');
    equal((await journey.tools(tokens)).status, 503, 'status');
    await journey.logged('the issuer does not introspect access tokens that are JWTs');
  });
}
