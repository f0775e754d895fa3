// A scripted model, for hosts that want one. It speaks OpenAI's chat completions and responses, Anthropic's messages and
// Gemini's generateContent, streamed or whole.
//
//   node model.mjs PORT LOGFILE
//
// What it calls stands in the user's text after "SCRIPT:", as JSON: a list of [tool, arguments, milliseconds to wait before],
// or ["parallel", [[tool, arguments], ...], milliseconds] for several calls at once. A tool is known by the end of its name,
// since hosts put a prefix before it. After the last call it says "All done." and how the last result begins.
// Each request is a line of LOGFILE.

import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dialects } from './dialects.mjs';

const [port, file] = process.argv.slice(2);

/** The JSON array that begins in a text, whatever follows it. */
function firstArray(text) {
  const start = text.indexOf('[');
  let depth = 0;
  let quoted = false;
  for (let at = start; at >= 0 && at < text.length; at++) {
    const character = text[at];
    if (quoted) {
      if (character === '\\') at++;
      else if (character === '"') quoted = false;
    } else if (character === '"') quoted = true;
    else if ('[{'.includes(character)) depth++;
    else if (']}'.includes(character) && --depth === 0) return JSON.parse(text.slice(start, at + 1));
  }
  return [];
}

/** What comes next in a conversation: `{ calls: [{ name, arguments }], wait }` or `{ say }`. */
function next({ names, text, results }) {
  const marker = text.lastIndexOf('SCRIPT:');
  // opencode quotes what has spaces.
  const script = marker < 0 ? '' : text.slice(marker).replace(/^SCRIPT:\[\[\\".*/s, (quoted) => quoted.replaceAll('\\"', '"'));
  const steps = firstArray(script).map(([name, its, wait = 0]) => ({
    calls: name === 'parallel' ? its : [[name, its]],
    wait,
  }));
  let answered = results.length;
  const step = steps.find(({ calls }) => {
    if (answered < calls.length) return true;
    answered -= calls.length;
    return false;
  });
  if (!step) return { say: `All done. The last result: ${(results.at(-1) ?? '').slice(0, 300)}` };
  const calls = step.calls.map(([wanted, its]) => ({
    wanted,
    name: names.find((name) => name === wanted) ?? names.find((name) => name.endsWith(wanted)),
    arguments: its,
  }));
  const missing = calls.find(({ name }) => !name);
  if (missing) return { say: `There is no tool ${missing.wanted} among ${names.length}: ${names.join(' ').slice(0, 500)}` };
  return { calls, wait: step.wait };
}

function answer(path, body) {
  const dialect = dialects.find(({ matches }) => matches.test(path));
  if (!dialect) return undefined;
  const asked = dialect.read(body);
  const said = next(asked);
  appendFileSync(file, `${JSON.stringify({ path, ...asked, said })}\n`);
  return { said, ...dialect.write(body, said, asked) };
}

function send(response, status, value) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const path = request.url.split('?')[0];
  if (path === '/healthcheck') return send(response, 200, {});
  if (/count_?tokens$/i.test(path)) return send(response, 200, { input_tokens: 10, totalTokens: 10 });
  if (/\/models\/?$/.test(path)) {
    return send(response, 200, { object: 'list', data: [{ id: 'scripted', object: 'model', created: 1, owned_by: 'tests' }] });
  }
  const body = JSON.parse(Buffer.concat(chunks).toString() || '{}');
  const answered = answer(path, body);
  if (!answered) return send(response, 404, { error: { type: 'not_found', message: `there is no ${path} here` } });
  if (answered.said.wait) await new Promise((done) => setTimeout(done, answered.said.wait));
  if (!body.stream && !path.includes('streamGenerateContent')) return send(response, 200, answered.whole);
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  for (const { event, data } of answered.events) {
    if (event) response.write(`event: ${event}\n`);
    response.write(`data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
  }
  response.end();
}).listen(Number(port), '127.0.0.1');
