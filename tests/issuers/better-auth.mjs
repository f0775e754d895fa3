// Better Auth (npm) with its plugin oauth-provider, in this process, on PostgreSQL.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { oauthProvider, oauthProviderAuthServerMetadata } from '@better-auth/oauth-provider';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import { toNodeHandler } from 'better-auth/node';
import { jwt } from 'better-auth/plugins';
import pg from 'pg';
import { equal } from '../clients/checks.mjs';
import { freePort } from '../clients/epicme.mjs';
import { offAndOn } from '../clients/switch.mjs';
import { CALLBACK } from './client.mjs';

export const { version } = JSON.parse(readFileSync(new URL('./node_modules/better-auth/package.json', import.meta.url)));
export const parallel = true;

const OTHER = 'https://other.example/api';
const SCOPES = ['user:read', 'entries:read', 'entries:write', 'tags:read', 'tags:write'];
const PATH = '/.well-known/oauth-authorization-server';

/** A database of this server's own. */
async function databaseOfItsOwn(url) {
  const name = `better_auth_${randomBytes(6).toString('hex')}`;
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  const own = new pg.Pool({ connectionString: url.replace(/\/[^/]*$/, `/${name}`) });
  // PostgreSQL ends first.
  own.on('error', () => {});
  return own;
}

const person = (user) => ({ email: `${user}@journal.example`, password: `correct horse ${user}` });

/** A person's browser: the pages for sign-in and consent are the site's own, and call these. */
function browser(base, user) {
  const cookies = new Map();
  const go = async (url, body) => {
    const response = await fetch(url, {
      redirect: 'manual',
      method: body ? 'POST' : 'GET',
      headers: {
        accept: 'application/json',
        origin: base,
        cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      cookies.set(name, value);
    }
    return response;
  };
  return {
    async visit(authorize) {
      let response = await go(authorize);
      for (let step = 0; step < 10; step += 1) {
        let location = response.headers.get('location');
        if (!location) {
          const said = await response.json();
          location = said.url ?? said.redirect_uri;
          if (!location) throw new Error(`${response.status} ${JSON.stringify(said)}`);
        }
        if (location.startsWith(CALLBACK)) return location;
        const { pathname, search, href } = new URL(location, base);
        const oauth_query = search.slice(1);
        if (pathname === '/sign-in') response = await go(`${base}/api/auth/sign-in/email`, { ...person(user), oauth_query });
        else if (pathname === '/consent') response = await go(`${base}/api/auth/oauth2/consent`, { accept: true, oauth_query });
        else response = await go(href);
      }
      throw new Error('the way through Better Auth has no end');
    },
    signOut: () => go(`${base}/api/auth/sign-out`, {}),
  };
}

/** The server; `opaque` is without the plugin jwt. */
const serverWith =
  ({ opaque = false, keysAlone = false } = {}) =>
  async ({ resource, folder, database }) => {
    const http = createServer();
    const port = await freePort();
    http.listen(port, '127.0.0.1');
    await once(http, 'listening');
    const base = `http://127.0.0.1:${port}`;
    const pool = await databaseOfItsOwn(database);
    const auth = betterAuth({
      baseURL: base,
      secret: randomBytes(24).toString('base64'),
      database: pool,
      emailAndPassword: { enabled: true },
      telemetry: { enabled: false },
      disabledPaths: ['/token'],
      trustedOrigins: [base],
      rateLimit: { enabled: false },
      // It complains of the tables that are made below.
      logger: { disabled: true },
      plugins: [
        ...(opaque ? [] : [jwt()]),
        oauthProvider({
          loginPage: '/sign-in',
          consentPage: '/consent',
          scopes: ['openid', 'offline_access', ...SCOPES],
          resources: [
            { identifier: resource, name: 'EpicMe', accessTokenTtl: 600 },
            { identifier: OTHER, name: 'another' },
          ],
          enforcePerClientResources: true,
          clientRegistrationDefaultResources: [resource],
          clientRegistrationAllowedResources: [resource, OTHER],
          allowDynamicClientRegistration: true,
          allowUnauthenticatedClientRegistration: true,
          disableJwtPlugin: opaque,
          clientPrivileges: () => true,
          resourcePrivileges: () => true,
          silenceWarnings: { oauthAuthServerConfig: true, openidConfig: true },
        }),
      ],
    });
    await (await getMigrations(auth.options)).runMigrations();
    for (const user of ['ada', 'bela']) await auth.api.signUpEmail({ body: { ...person(user), name: user } });
    const { headers } = await auth.api.signInEmail({ body: person('ada'), returnHeaders: true });
    const administrator = new Headers({ cookie: headers.getSetCookie().map((it) => it.split(';')[0]).join('; ') });
    const { client_id, client_secret } = await auth.api.adminCreateOAuthClient({
      headers: administrator,
      body: {
        redirect_uris: ['https://journal.example/none'],
        client_name: 'EpicMe',
        token_endpoint_auth_method: 'client_secret_basic',
        grant_types: ['client_credentials'],
      },
    });
    await auth.api.adminLinkClientResource({ headers: administrator, params: { identifier: resource, client_id } });
    const secret = join(folder, `${port}.secret`);
    writeFileSync(secret, client_secret, { mode: 0o600 });

    const [handler, metadata] = [toNodeHandler(auth), oauthProviderAuthServerMetadata(auth)];
    http.on('request', async (request, response) => {
      if (!request.url.startsWith(PATH)) return handler(request, response);
      const answer = await metadata(new Request(base + request.url));
      response.writeHead(answer.status, Object.fromEntries(answer.headers));
      response.end(await answer.text());
    });
    const browsers = new Map();
    return {
      places: [
        ['https://login.example', base],
        ['THE_CLIENT_ID', client_id],
      ],
      files: { EPICME_INTROSPECTION_CLIENT_SECRET_FILE: secret },
      secrets: [client_secret],
      visit: (user) => {
        if (!browsers.has(user)) browsers.set(user, browser(base, user));
        return browsers.get(user).visit;
      },
      register: (client) => client.register({ scope: [...SCOPES, 'offline_access'].join(' '), resources: [resource, OTHER] }),
      scopes: 'offline_access',
      other: OTHER,
      keysAlone,
      // It revokes no JWT by RFC 7009: they end with the person's session.
      ...(!opaque && {
        async revoke(client, tokens, user) {
          equal((await browsers.get(user).signOut()).status, 200, 'status of the sign-out');
        },
      }),
      ...offAndOn(http, port),
    };
  };

/** By the headings of the page. */
export const ways = {
  'JWT, by keys and introspection': serverWith(),
  'JWT, by introspection': serverWith(),
  'Opaque tokens': serverWith({ opaque: true }),
  'JWT, by keys': serverWith({ keysAlone: true }),
};
