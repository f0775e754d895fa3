// An authorization server that knows nothing of EpicMe's code: oidc-provider, with opaque tokens that
// are meant for a resource, and introspection for those who authenticate.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';
import { freePort } from '../epicme.mjs';
import { offAndOn } from '../switch.mjs';

export const SCOPES = ['user:read', 'entries:read', 'entries:write', 'tags:read', 'tags:write'];

/**
 * Starts it on a free port, for these resources. `tokens` is their format (opaque or jwt), `introspector` has
 * metadata of the client that introspects which replaces those below, and `signed` allows signed replies.
 */
export async function startProvider({ resources, introspectionSecret, robotSecret, tokens = 'opaque', introspector = {}, signed = false }) {
  const http = createServer();
  const port = await freePort();
  http.listen(port, '127.0.0.1');
  await once(http, 'listening');
  const issuer = `http://127.0.0.1:${port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'epicme',
        client_secret: introspectionSecret,
        token_endpoint_auth_method: 'client_secret_basic',
        grant_types: [],
        response_types: [],
        redirect_uris: [],
        ...introspector,
      },
      {
        client_id: 'robot',
        client_secret: robotSecret,
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
      },
    ],
    scopes: ['openid', 'offline_access', ...SCOPES],
    cookies: { keys: [randomBytes(16).toString('hex')] },
    findAccount: (context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    ttl: Object.fromEntries(
      ['AccessToken', 'ClientCredentials', 'Grant', 'IdToken', 'Interaction', 'RefreshToken', 'Session'].map((it) => [it, 600]),
    ),
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      registration: { enabled: true },
      revocation: { enabled: true, allowedPolicy: (context, client, token) => client.clientId === token.clientId },
      introspection: { enabled: true, allowedPolicy: (context, client) => client.clientId === 'epicme' },
      jwtIntrospection: { enabled: signed },
      // Its token endpoint demands nonces, too (RFC 9449 §8).
      dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (context, resource) => {
          if (!resources.includes(resource)) throw new Error(`nobody knows ${resource}`);
          return { scope: SCOPES.join(' '), audience: resource, accessTokenFormat: tokens, accessTokenTTL: 600 };
        },
      },
    },
  });
  const calls = {};
  provider.use(async (context, next) => {
    calls[context.path] = (calls[context.path] ?? 0) + 1;
    await next();
  });
  http.on('request', provider.callback());
  return {
    issuer,
    /** How often each path was called. */
    calls,
    ...offAndOn(http, port),
  };
}
