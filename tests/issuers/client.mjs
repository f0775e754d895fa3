// An MCP client's part of OAuth: it finds the authorization server by the challenge, registers itself, and
// redeems codes. The person's part is each server's own.

import { createHash, randomBytes } from 'node:crypto';
import { equal, ok } from '../clients/checks.mjs';
import { ask } from '../clients/epicme.mjs';

export const CALLBACK = 'http://127.0.0.1:29998/callback';

const form = (fields) => ({ method: 'POST', headers: { accept: 'application/json' }, body: new URLSearchParams(fields) });

/** The parameters of a challenge. */
export const challengeOf = (response) =>
  Object.fromEntries([...(response.headers.get('www-authenticate') ?? '').matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key, value]));

export class Client {
  /** Finds the authorization server of a resource, as MCP has it. */
  static async find(resource) {
    const refused = await ask(resource);
    equal(refused.status, 401, 'status without a token');
    const { resource_metadata: at, scope } = challengeOf(refused);
    const described = await (await fetch(at)).json();
    const issuer = new URL(described.authorization_servers[0]);
    const path = issuer.pathname.replace(/\/$/, '');
    const places = ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'].map((it) => it + path);
    for (const place of [...places, `${path}/.well-known/openid-configuration`]) {
      const found = await fetch(new URL(place, issuer), { redirect: 'manual' });
      if (found.status !== 200) continue;
      const metadata = await found.json().catch(() => ({}));
      if (metadata.issuer === described.authorization_servers[0]) return new Client(described.resource, metadata, scope);
    }
    throw new Error(`no metadata of ${issuer}`);
  }

  constructor(resource, metadata, scope) {
    Object.assign(this, { resource, metadata, scope });
  }

  /** Registers itself (RFC 7591), with whatever the server wants besides. */
  async register(besides = {}) {
    const response = await fetch(this.metadata.registration_endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        client_name: 'MCP host',
        redirect_uris: [CALLBACK],
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        ...besides,
      }),
    });
    const registered = await response.json();
    ok(registered.client_id, `${response.status} ${JSON.stringify(registered)}`);
    this.id = registered.client_id;
  }

  /**
   * Tokens by the authorization code flow with PKCE. `visit` is the person: it takes the URL, and gives the one to
   * which the server sends the browser back.
   */
  async signIn(visit, scope, { resource = this.resource, besides = {}, headers } = {}) {
    const verifier = randomBytes(32).toString('base64url');
    const state = randomBytes(9).toString('base64url');
    const authorize = new URL(this.metadata.authorization_endpoint);
    const fields = {
      client_id: this.id,
      response_type: 'code',
      redirect_uri: CALLBACK,
      scope,
      state,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      resource,
      ...besides,
    };
    for (const [name, value] of Object.entries(fields)) authorize.searchParams.set(name, value);
    const back = new URL(await visit(authorize));
    ok(back.searchParams.get('code'), `a code in ${back}`);
    equal(back.searchParams.get('state'), state, 'state');
    return this.#redeem(
      {
        grant_type: 'authorization_code',
        code: back.searchParams.get('code'),
        redirect_uri: CALLBACK,
        code_verifier: verifier,
        resource,
      },
      headers,
    );
  }

  refresh(tokens) {
    ok(tokens.refresh_token, 'there is a refresh token');
    return this.#redeem({ grant_type: 'refresh_token', refresh_token: tokens.refresh_token, resource: this.resource });
  }

  async revoke(token) {
    const response = await fetch(this.metadata.revocation_endpoint, form({ token, client_id: this.id }));
    equal(response.status, 200, 'status of the revocation');
  }

  /** `headers` is told the nonce that the server demands, if it does. */
  async #redeem(fields, headers = () => ({})) {
    const request = form({ ...fields, client_id: this.id });
    const send = (nonce) => fetch(this.metadata.token_endpoint, { ...request, headers: { ...request.headers, ...headers(nonce) } });
    let response = await send();
    const nonce = response.headers.get('dpop-nonce');
    // The first answer names the nonce to use (RFC 9449 §8).
    if (response.status === 400 && nonce) response = await send(nonce);
    const tokens = await response.json();
    ok(tokens.access_token, `${response.status} ${JSON.stringify(tokens)}`);
    return tokens;
  }
}
