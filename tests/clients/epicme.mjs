// `epicme serve`, and single requests to it.

import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

/** The ports below those from which the system takes one for an outgoing connection: what stops keeps its port. */
const PORTS = { first: 20_000, count: 10_000 };
const taken = new Set();

export async function freePort() {
  for (;;) {
    const port = PORTS.first + randomInt(PORTS.count);
    if (taken.has(port)) continue;
    taken.add(port);
    const server = createServer();
    const free = await new Promise((resolve) => {
      server.on('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!free) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** What a server at this port of loopback is configured with. */
export const environmentAt = (port) => ({
  PATH: process.env.PATH,
  EPICME_BIND: `127.0.0.1:${port}`,
  EPICME_METRICS_BIND: 'off',
  EPICME_PUBLIC_URL: `http://127.0.0.1:${port}`,
  EPICME_MIGRATE: 'on',
});

/** Runs the program until told to stop. */
export async function serve(program, environment) {
  const child = spawn(program, ['serve'], { env: environment, stdio: ['ignore', 'ignore', 'pipe'] });
  const said = [];
  await new Promise((resolve, reject) => {
    child.on('exit', (code) => reject(new Error(`epicme serve ended with ${code}:\n${said.join('\n')}`)));
    createInterface(child.stderr).on('line', (line) => {
      said.push(line);
      if (line.includes('serving ')) resolve();
    });
  });
  child.removeAllListeners('exit');
  const orphan = () => child.kill('SIGKILL');
  process.on('exit', orphan);
  return {
    said,
    async stop() {
      child.kill('SIGTERM');
      const [code] = await once(child, 'exit');
      process.off('exit', orphan);
      return code;
    },
  };
}

const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};

/** One modern request with this Authorization header. */
export function ask(at, authorization, method = 'tools/list', params = {}, headers = {}) {
  return fetch(at, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(params.name && { 'mcp-name': params.name }),
      ...(authorization && { authorization }),
      ...headers,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: META } }),
  });
}
