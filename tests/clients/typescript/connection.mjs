// A connection of either generation in either era, and what a host does with it.

import { AjvJsonSchemaValidator } from '@modelcontextprotocol/client/validators/ajv';
import { equal, ok, within } from '../checks.mjs';
import { SECOND } from './sdk.mjs';

/** What came unasked, in order; each is taken once. */
class Arrivals {
  #arrived = [];
  #wake;

  push(one) {
    this.#arrived.push(one);
    this.#wake?.();
  }

  async next(what) {
    while (this.#arrived.length === 0) await within(new Promise((resolve) => (this.#wake = resolve)), what);
    return this.#arrived.shift();
  }
}

export class Connection {
  /** The URIs of resources that the server says have changed. */
  updates = new Arrivals();
  /** Log messages. */
  logged = new Arrivals();
  #subscriptions = new Map();

  /**
   * Connects; if the SDK sends the person to the browser for it, a second time with what came of that.
   * `host` may have an `elicit` and a `sample`, which are given the server's questions and give the
   * answers; the client declares what is there.
   */
  static async open(url, mode, person, sdk = SECOND, host = {}) {
    const connection = new Connection();
    Object.assign(connection, { person, sdk });
    for (let attempt = 0; ; attempt += 1) {
      connection.#prepare(url, mode, host);
      try {
        await connection.client.connect(connection.transport);
        return connection;
      } catch (error) {
        if (attempt > 0 || !person.callback) throw error;
        await connection.comeBack();
      }
    }
  }

  #prepare(url, mode, { elicit, sample }) {
    const { sdk } = this;
    const capabilities = { ...(elicit && { elicitation: { form: {} } }), ...(sample && { sampling: {} }) };
    const options = { capabilities, ...(mode && { versionNegotiation: { mode } }) };
    this.client = new sdk.Client({ name: 'typescript-check', version: '1' }, options);
    if (elicit) this.client.setRequestHandler(sdk.ELICIT, ({ params }) => elicit(params));
    if (sample) this.client.setRequestHandler(sdk.SAMPLE, ({ params }) => sample(params));
    this.client.setNotificationHandler(sdk.UPDATED, ({ params }) => this.updates.push(params.uri));
    this.client.setNotificationHandler(sdk.LOGGED, ({ params }) => this.logged.push(params));

    // Neither generation tells when a session's general stream is open, and what changes earlier is not told.
    this.listening = new Promise((resolve) => {
      const watched = async (input, init) => {
        const response = await fetch(input, init);
        if (init?.method === 'GET' && response.headers.get('content-type')?.startsWith('text/event-stream')) resolve();
        return response;
      };
      this.transport = new sdk.StreamableHTTPClientTransport(url, { authProvider: this.person, fetch: watched });
    });
  }

  async comeBack() {
    await this.sdk.finish(this.transport, this.person.callback.searchParams);
    this.person.callback = undefined;
  }

  get revision() {
    return this.transport.protocolVersion ?? this.client.getNegotiatedProtocolVersion();
  }

  get isModern() {
    return this.revision >= '2026';
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

  async titles() {
    return (await this.call('list_entries')).entries.map((entry) => entry.title);
  }

  /** Reads a resource of the journal's, which is JSON. */
  async read(uri) {
    const { contents } = await this.client.readResource({ uri });
    equal(contents.length, 1, `contents of ${uri}`);
    equal(contents[0].uri, uri, 'URI');
    return JSON.parse(contents[0].text);
  }

  /** Has the server tell when one of these changes; each comes out of `updates`. */
  async watch(...uris) {
    if (this.isModern) {
      const subscription = await this.client.listen({ resourceSubscriptions: uris });
      equal(subscription.honoredFilter.resourceSubscriptions?.join(), uris.join(), 'honoured');
      this.#subscriptions.set(uris.join(), subscription);
    } else {
      await within(this.listening, 'the general stream');
      for (const uri of uris) await this.client.subscribeResource({ uri });
    }
  }

  /** Ends what a `watch` of the same began. */
  async unwatch(...uris) {
    if (this.isModern) {
      const subscription = this.#subscriptions.get(uris.join());
      await subscription.close();
      equal(await within(subscription.closed, 'the end of the subscription'), 'local', 'how it ended');
    } else {
      for (const uri of uris) await this.client.unsubscribeResource({ uri });
    }
  }

  nextUpdate() {
    return this.updates.next('an update');
  }

  /** As a host leaves that will not come back. */
  async leave() {
    await this.transport.terminateSession();
    await this.client.close();
  }
}
