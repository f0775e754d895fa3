// What the agents in JavaScript share: modules from the folder of their host, and the OAuthClientProvider of the TypeScript SDK
// (whose shape others took over), which opens the browser and waits for the callback.
//
//   MODULES  node_modules of the host      MCP_URL  the endpoint      MODEL  the scripted model
//   CALLBACK_PORT, BROWSER                 SCRIPT   what the model is to call (support/model.mjs)

import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(`${process.env.MODULES}/`);

export const load = async (name) => import(pathToFileURL(require.resolve(name)));

const CALLBACK_WITHIN = 30_000;

export function provider(name) {
  const port = Number(process.env.CALLBACK_PORT);
  const redirectUrl = `http://127.0.0.1:${port}/callback`;
  const kept = {};
  let resolve;
  const back = new Promise((done, fail) => {
    resolve = done;
    setTimeout(() => fail(new Error('the browser did not come back')), CALLBACK_WITHIN).unref();
  });
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url, redirectUrl);
    response.end('You can close this window.');
    if (!searchParams.has('code') && !searchParams.has('error')) return;
    server.close();
    resolve(searchParams);
  });
  return {
    redirectUrl,
    clientMetadata: {
      client_name: name,
      redirect_uris: [redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    },
    state: () => crypto.randomUUID(),
    clientInformation: () => kept.client,
    saveClientInformation: (client) => Object.assign(kept, { client }),
    tokens: () => kept.tokens,
    saveTokens: (tokens) => Object.assign(kept, { tokens }),
    codeVerifier: () => kept.verifier,
    saveCodeVerifier: (verifier) => Object.assign(kept, { verifier }),
    discoveryState: () => kept.discovery,
    saveDiscoveryState: (discovery) => Object.assign(kept, { discovery }),
    redirectToAuthorization(url) {
      server.listen(port, '127.0.0.1');
      spawn(process.env.BROWSER, [String(url)], { stdio: 'ignore' });
    },
    /** The query of the callback. */
    back,
  };
}
