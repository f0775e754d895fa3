// Two processes of `epicme serve` on one database, and a proxy that gives every request to the next of them.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { startPostgres } from '../postgres.mjs';

const SECRET = '0123456789abcdef';
const KEY = Buffer.alloc(32, 7).toString('base64');

/** A program that says when it is ready; gives what the pattern finds in what it prints. */
async function start(program, args, env, pattern) {
  const child = spawn(program, args, { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  const ready = new Promise((resolve, reject) => {
    const heard = (text) => {
      said += text;
      const found = pattern.exec(said);
      if (found) resolve(found[1]);
    };
    child.stdout.on('data', heard);
    child.stderr.on('data', heard);
    child.on('exit', () => reject(new Error(`${program} did not start:\n${said}`)));
  });
  return { found: await ready, child };
}

async function stop({ child }) {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
}

/** Passes each request on to the next upstream in turn, and its answer back as it comes. */
async function startProxy(upstreams) {
  let count = 0;
  const proxy = http.createServer((request, response) => {
    const { method, url, headers } = request;
    const port = upstreams[count++ % upstreams.length]();
    const passed = http.request({ host: '127.0.0.1', port, method, path: url, headers, agent: false }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
      // The client is not to wait for the rest of what broke off.
      answer.on('close', () => answer.complete || response.destroy());
    });
    passed.on('error', () => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
    response.on('close', () => passed.destroy());
    request.pipe(passed);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return proxy;
}

/** Starts everything; gives the URL, tokens, a way to start the processes anew and one to end all. */
export async function startServers(program, mockAuth) {
  const postgres = startPostgres();
  const processes = [];
  const proxy = await startProxy([() => processes[0].found, () => processes[1].found]);
  const url = `http://127.0.0.1:${proxy.address().port}`;
  const auth = await start(
    mockAuth,
    [],
    {
      MOCK_AUTH_BIND: '127.0.0.1:0',
      MOCK_AUTH_INTROSPECTION_CLIENT_ID: 'epicme',
      MOCK_AUTH_INTROSPECTION_CLIENT_SECRET: SECRET,
      MOCK_AUTH_SCOPES: 'user:read,entries:read,entries:write,tags:read,tags:write',
      MOCK_AUTH_DEFAULT_RESOURCE: `${url}/mcp`,
    },
    /mock-auth is ready at (\S+)\n/,
  );
  const serve = () =>
    start(
      program,
      ['serve'],
      {
        DATABASE_URL: postgres.url,
        EPICME_MIGRATE: 'on',
        EPICME_BIND: '127.0.0.1:0',
        EPICME_METRICS_BIND: 'off',
        EPICME_PUBLIC_URL: url,
        EPICME_ISSUER: auth.found,
        EPICME_INTROSPECTION_CLIENT_ID: 'epicme',
        EPICME_INTROSPECTION_CLIENT_SECRET: SECRET,
        EPICME_REQUEST_STATE_KEY: KEY,
        EPICME_DRAIN_TIMEOUT: '5s',
        // Of clients whose tokens are bound to a key alone.
        EPICME_DPOP: 'nonce',
      },
      /serving \S+ on 127\.0\.0\.1:(\d+);/,
    );
  processes.push(await serve(), await serve());
  return {
    url: `${url}/mcp`,
    async token(subject) {
      const body = JSON.stringify({ subject, resource: `${url}/mcp`, expires_in: 3600 });
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`${auth.found}/dev/token`, { method: 'POST', body, headers });
      return (await answer.json()).access_token;
    },
    /** One after the other, as in a rolling restart. */
    async restart() {
      for (const at of [0, 1]) {
        const old = processes[at];
        processes[at] = await serve();
        await stop(old);
      }
    },
    async stop() {
      proxy.closeAllConnections();
      proxy.close();
      await Promise.all([...processes, auth].map(stop));
      postgres.stop();
    },
  };
}
