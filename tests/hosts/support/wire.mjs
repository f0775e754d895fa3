// A reverse proxy that writes down what passes, and changes nothing.
//
//   node wire.mjs LOGFILE NAME=LISTEN:UPSTREAM...      for instance mcp=20120:20110 auth=20121:20111
//
// Each exchange is a line of JSON, written when it ends. Of credentials the last six characters are kept.

import { appendFileSync } from 'node:fs';
import http from 'node:http';

const [file, ...routes] = process.argv.slice(2);
const MOST_KEPT = 300_000;
let last = 0;

const shortened = (text) =>
  text.replace(/\b(ep[a-z]_|eyJ)?[A-Za-z0-9_-]{32,}(\.[A-Za-z0-9_.-]+)?/g, (secret) => `…${secret.slice(-6)}`);

function collector(stream) {
  const chunks = [];
  let length = 0;
  stream.on('data', (chunk) => {
    length += chunk.length;
    if (length < MOST_KEPT) chunks.push(chunk);
  });
  return () => Buffer.concat(chunks).toString();
}

/** Fields as they came, those that come twice as a list. */
function fields(raw) {
  const headers = {};
  for (let at = 0; at < raw.length; at += 2) {
    const [name, value] = raw.slice(at);
    headers[name] = name in headers ? [headers[name], value].flat() : value;
  }
  return headers;
}

function forward(name, upstream, request, response) {
  const id = ++last;
  const began = Date.now();
  const isSecret = name === 'auth';
  const kept = (text) => (isSecret ? shortened(text) : text);
  const headers = { ...request.headers };
  if (headers.authorization) headers.authorization = headers.authorization.replace(/ .*(.{6})$/, ' …$1');
  delete headers.cookie;
  const asked = collector(request);
  let isWritten = false;
  const write = (more) => {
    if (isWritten) return;
    isWritten = true;
    const entry = { id, at: new Date(began).toISOString(), ms: Date.now() - began, to: name, method: request.method };
    appendFileSync(file, `${JSON.stringify({ ...entry, url: kept(request.url), headers, body: kept(asked()), ...more })}\n`);
  };
  const options = { host: '127.0.0.1', port: upstream, method: request.method, path: request.url, headers: request.headers };
  const onward = http.request(options, (answer) => {
    const answered = collector(answer);
    response.writeHead(answer.statusCode, fields(answer.rawHeaders));
    response.flushHeaders();
    answer.on('data', (chunk) => response.write(chunk));
    const end = (how) =>
      write({ status: answer.statusCode, answerHeaders: answer.headers, answer: kept(answered()), ...(how && { how }) });
    answer.on('end', () => {
      response.end();
      end();
    });
    answer.on('close', () => {
      if (answer.complete) return;
      response.destroy();
      end('the server cut it');
    });
    response.on('close', () => {
      if (response.writableFinished) return;
      onward.destroy();
      end('the client closed it');
    });
  });
  onward.on('error', ({ code }) => {
    write({ status: 0, how: code });
    response.destroy();
  });
  request.pipe(onward);
}

for (const route of routes) {
  const [, name, listen, upstream] = /^(\w+)=(\d+):(\d+)$/.exec(route);
  http
    .createServer((request, response) => forward(name, Number(upstream), request, response))
    .on('clientError', (_, socket) => socket.destroy())
    .listen(Number(listen), '127.0.0.1');
}
