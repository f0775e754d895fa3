// The person in front of the client, who signs in when the SDK says so.

import { Browser } from '../browser.mjs';
import { equal } from '../checks.mjs';

const CALLBACK = 'http://127.0.0.1:39999/callback';

/** Keeps what the SDK gives it, and sends the person to the browser when the SDK says so. */
export class Person {
  asked = [];
  way = {};

  /** `answer` says how the person goes through the pages: see `browser.mjs`. */
  constructor(answer) {
    this.answer = answer;
  }

  get redirectUrl() {
    return CALLBACK;
  }

  get clientMetadata() {
    return {
      client_name: 'TypeScript check',
      redirect_uris: [CALLBACK],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
    };
  }

  state() {
    return (this.way.state = crypto.randomUUID());
  }

  clientInformation() {
    return this.registered;
  }

  saveClientInformation(information) {
    this.registered = information;
  }

  tokens() {
    return this.kept;
  }

  saveTokens(tokens) {
    this.kept = tokens;
  }

  saveCodeVerifier(verifier) {
    this.way.verifier = verifier;
  }

  codeVerifier() {
    return this.way.verifier;
  }

  saveDiscoveryState(state) {
    this.way.discovery = state;
  }

  discoveryState() {
    return this.way.discovery;
  }

  async redirectToAuthorization(authorize) {
    this.asked.push(authorize);
    this.callback = await new Browser().travel(authorize, this.answer);
    equal(this.callback.searchParams.get('state'), this.way.state, 'state');
  }
}
