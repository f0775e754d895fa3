// What the logs of wire.mjs and model.mjs say.

import { existsSync, readFileSync } from 'node:fs';

const META = 'io.modelcontextprotocol/protocolVersion';

export const lines = (file) =>
  existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line)) : [];

/** The JSON-RPC messages of a body, JSON or a stream of events. */
function messages(text = '') {
  const parsed = (json) => {
    try {
      return [JSON.parse(json)].flat();
    } catch {
      return [];
    }
  };
  return /^(event|data|id|retry|:)/m.test(text) && !text.startsWith('{')
    ? [...text.matchAll(/^data: ?(\{.*)$/gm)].flatMap(([, data]) => parsed(data))
    : parsed(text);
}

export class Wire {
  constructor(file) {
    const entries = lines(file).sort((one, other) => one.id - other.id);
    this.mcp = entries.filter(({ to, url }) => to === 'mcp' && /^\/mcp\b/.test(url));
    this.auth = entries.filter(({ to }) => to === 'auth');
    /** Each JSON-RPC request with its answer. */
    this.calls = this.mcp.flatMap((entry) =>
      messages(entry.body)
        .filter(({ method, id }) => method && id !== undefined)
        .map((request) => ({
          entry,
          request,
          reply: messages(entry.answer).find(({ id }) => id === request.id) ?? {},
        })),
    );
  }

  get revisions() {
    const spoken = this.calls.flatMap(({ request, reply }) =>
      request.method === 'initialize' ? [reply.result?.protocolVersion] : [request.params?._meta?.[META]],
    );
    return [...new Set(spoken.filter(Boolean))];
  }

  get tools() {
    return [...new Set(this.calls.flatMap(({ reply }) => reply.result?.tools ?? []).map(({ name }) => name))];
  }

  /** The calls of tools; `succeeded` if the tool did its work. */
  get toolCalls() {
    return this.calls
      .filter(({ request }) => request.method === 'tools/call')
      .map(({ entry, request, reply }) => ({
        name: request.params?.name,
        status: entry.status,
        hasId: messages(entry.answer).some(({ id }) => id === request.id),
        succeeded: Boolean(reply.result) && !reply.result.isError && reply.result.resultType !== 'input_required',
      }));
  }

  did(tool) {
    return this.toolCalls.some(({ name, succeeded }) => name === tool && succeeded);
  }

  /** The authorization requests that a browser was sent with. */
  get authorizations() {
    return this.auth
      .filter(({ method, url }) => method === 'GET' && /^\/oauth\/authorize\?/.test(url))
      .map(({ url }) => new URL(url, 'http://localhost').searchParams);
  }

  get registered() {
    return this.auth.some(({ url, status }) => url === '/oauth/register' && status === 201);
  }

  get refreshes() {
    return this.auth.filter(({ url, body }) => url === '/oauth/token' && /refresh_token/.test(body));
  }

  /** Statuses of refusals, each with how often it came. */
  refusals() {
    const counts = new Map();
    for (const { status } of this.mcp) if (status >= 400) counts.set(status, (counts.get(status) ?? 0) + 1);
    return [...counts].map(([status, count]) => `${count}×${status}`);
  }
}
