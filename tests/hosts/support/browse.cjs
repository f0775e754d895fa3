#!/usr/bin/env node
// A browser without a screen, for hosts that open one: it follows redirects with cookies and answers the pages of mock-auth
// (who are you; allow?), as far as the host's callback. It goes on in the background, since some hosts listen only after the
// browser has been started.
//
//   browse.cjs URL
//
//   BROWSE_LOG      a file that gets a line for each hop
//   BROWSE_WITHOUT  scopes to untick, separated by spaces

const { appendFileSync } = require('node:fs');
const { spawn } = require('node:child_process');

const { env } = process;
const MOST_HOPS = 20;

const log = (line) => env.BROWSE_LOG && appendFileSync(env.BROWSE_LOG, `${line}\n`);

const plain = (text) =>
  text.replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&quot;/g, '"').replace(/&#39;/g, "'").replace(/&amp;/g, '&');

function attribute(tag, name) {
  const match = new RegExp(`\\s${name}="([^"]*)"`).exec(tag);
  return match ? plain(match[1]) : undefined;
}

const words = (html) =>
  html.replace(/<(style|script)[\s\S]*?<\/\1>/g, '').replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ').trim();

/** A callback may not be listened on yet. */
async function open(url, options) {
  for (let tries = 0; ; tries++) {
    try {
      return await fetch(url, options);
    } catch (error) {
      if (error.cause?.code !== 'ECONNREFUSED' || tries === 100) throw error;
      await new Promise((done) => setTimeout(done, 100));
    }
  }
}

/** The fields of a page's form, answered: as Ada, and Allow. */
function fields(form) {
  const body = new URLSearchParams();
  const without = (env.BROWSE_WITHOUT ?? '').split(' ');
  for (const [tag] of form.matchAll(/<input[^>]*>/g)) {
    const name = attribute(tag, 'name');
    const value = attribute(tag, 'value') ?? '';
    const isTicked = attribute(tag, 'type') !== 'checkbox' || (/\schecked/.test(tag) && !without.includes(value));
    if (name && isTicked) body.append(name, value);
  }
  if (form.includes('name="user"')) body.append('user', '1');
  else body.append('decision', 'allow');
  return body;
}

/** Cookies are kept by host and port, as a browser would not: what listens on this machine are different sites here. */
async function visit(start) {
  const jars = new Map();
  let url = new URL(start);
  let init = {};
  const home = url.origin;
  for (let hop = 0; hop < MOST_HOPS; hop++) {
    if (!jars.has(url.host)) jars.set(url.host, new Map());
    const jar = jars.get(url.host);
    const headers = { 'user-agent': 'tests-browser', accept: 'text/html', ...init.headers };
    if (jar.size) headers.cookie = [...jar].map((pair) => pair.join('=')).join('; ');
    const response = await open(url, { redirect: 'manual', ...init, headers });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
      if (value) jar.set(name, value);
      else jar.delete(name);
    }
    const html = await response.text();
    const location = response.headers.get('location');
    log(`${response.status} ${init.method ?? 'GET'} ${url.origin}${url.pathname}`);
    if (location) {
      url = new URL(location, url);
      init = {};
      if (!/^https?:$/.test(url.protocol)) return log(`LEAVES for ${url.protocol}`);
      continue;
    }
    const form = /<form[^>]*>[\s\S]*?<\/form>/.exec(html)?.[0];
    if (url.origin !== home || !form) return log(`ENDS ${response.status} ${words(html).slice(0, 400)}`);
    const body = fields(form);
    log(`FORM ${words(/<h1>([\s\S]*?)<\/h1>/.exec(html)?.[1] ?? '')} | ${body.getAll('scope').join(' ')}`);
    init = { method: 'POST', body, headers: { origin: url.origin, 'sec-fetch-site': 'same-origin' } };
    url = new URL(attribute(form, 'action') ?? url, url);
  }
  return log('ENDS in a circle');
}

const target = process.argv.slice(2).find((argument) => /^https?:/.test(argument));
if (target && env.BROWSE_IN_BACKGROUND) visit(target).catch((error) => log(`ENDS ${error} ${error.cause ?? ''}`));
else if (target) {
  const options = { detached: true, stdio: 'ignore', env: { ...env, BROWSE_IN_BACKGROUND: '1' } };
  spawn(process.execPath, [__filename, target], options).unref();
}
