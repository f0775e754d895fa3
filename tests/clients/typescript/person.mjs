// The official TypeScript client in both of its generations, and the person in front of it.

import { readFileSync } from 'node:fs';
import * as second from '@modelcontextprotocol/client';
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/client/validators/ajv';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Browser } from '../browser.mjs';
import { equal, ok } from '../checks.mjs';

const versionOf = (name) =>
  JSON.parse(readFileSync(new URL(`./node_modules/${name}/package.json`, import.meta.url))).version;

/** The second generation, which knows both eras. */
export const SECOND = {
  version: versionOf('@modelcontextprotocol/client'),
  ...second,
  finish: (transport, params) => transport.finishAuth(params),
  /** How it may be told to begin, and the revision that it then has to speak. */
  modes: [
    ['2026-07-28', { pin: '2026-07-28' }, '2026-07-28'],
    ['auto', 'auto', '2026-07-28'],
    ['legacy', 'legacy', '2025-11-25'],
  ],
};

/** The first generation, which most hosts ship. */
export const FIRST = {
  version: versionOf('@modelcontextprotocol/sdk'),
  Client,
  StreamableHTTPClientTransport,
  UnauthorizedError,
  finish: (transport, params) => transport.finishAuth(params.get('code')),
  modes: [['legacy', undefined, '2025-11-25']],
  // It answers a 403 by refreshing, if it can, which never brings a new scope.
  stepsUpOnlyWithoutRefreshToken: true,
};

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

export class Connection {
  /** Connects; if the SDK sends the person to the browser for it, a second time with what came of that. */
  static async open(url, mode, person, sdk = SECOND) {
    const connection = new Connection();
    Object.assign(connection, { person, sdk });
    for (let attempt = 0; ; attempt += 1) {
      connection.client = new sdk.Client({ name: 'typescript-check', version: '1' }, mode && { versionNegotiation: { mode } });
      connection.transport = new sdk.StreamableHTTPClientTransport(url, { authProvider: person });
      try {
        await connection.client.connect(connection.transport);
        return connection;
      } catch (error) {
        if (attempt > 0 || !person.callback) throw error;
        await connection.comeBack();
      }
    }
  }

  async comeBack() {
    await this.sdk.finish(this.transport, this.person.callback.searchParams);
    this.person.callback = undefined;
  }

  get revision() {
    return this.transport.protocolVersion ?? this.client.getNegotiatedProtocolVersion();
  }

  /**
   * Calls a tool that works, and gives its structured result, which the SDK has validated. The
   * arguments are validated here, as many hosts do.
   */
  async call(name, args = {}) {
    const tool = (await this.client.listTools()).tools.find((it) => it.name === name);
    if (tool) {
      const { valid, errorMessage } = new AjvJsonSchemaValidator().getValidator(tool.inputSchema)(args);
      ok(valid, `${name}(${JSON.stringify(args)}): ${errorMessage}`);
    }
    const result = await this.client.callTool({ name, arguments: args });
    ok(!result.isError, JSON.stringify(result.content));
    ok(result.structuredContent, `${name} has a structured result`);
    return result.structuredContent;
  }

  /** Calls a tool that fails, and gives its words. */
  async failing(name, args = {}) {
    const result = await this.client.callTool({ name, arguments: args });
    ok(result.isError, JSON.stringify(result));
    return result.content[0].text;
  }

  async tools() {
    return (await this.client.listTools()).tools.map((tool) => tool.name);
  }
}
