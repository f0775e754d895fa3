// django-oauth-toolkit (PyPI) under gunicorn, and under Django's own server.

import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Browser } from '../clients/browser.mjs';
import { equal, ok } from '../clients/checks.mjs';
import { freePort } from '../clients/epicme.mjs';
import { Program, inVenv, pinned, run } from './programs.mjs';

const NAME = 'django-oauth-toolkit';
export const version = pinned(NAME, NAME);
export const parallel = false;

/** The view that the page shows. */
function viewOfThePage() {
  const page = readFileSync(new URL(`../../docs/issuers/${NAME}.md`, import.meta.url), 'utf8');
  return /```python\n([\s\S]*?)```/.exec(page)[1];
}

const person = (user) => () => ({ fill: { username: user, password: `correct horse ${user}` } });

const serverWith =
  ({ view = false, bearer = false, runserver = false } = {}) =>
  async ({ folder }) => {
    const port = await freePort();
    const base = `http://127.0.0.1:${port}`;
    const secret = randomBytes(24).toString('hex');
    const site = new URL(`./${NAME}/`, import.meta.url).pathname;
    const env = {
      DATABASE: join(folder, `${port}.sqlite`),
      SECRET: secret,
      PORT: port,
      PYTHONPATH: `${site}:${folder}`,
      PYTHONDONTWRITEBYTECODE: '1',
      ...(view && { WITH_SUBJECT: 'view_of_the_page' }),
    };
    writeFileSync(join(folder, 'view_of_the_page.py'), viewOfThePage());
    run(inVenv(NAME, 'python'), [join(site, 'login_site.py'), 'setup'], { env });
    const [program, ...args] = runserver
      ? [inVenv(NAME, 'python'), join(site, 'login_site.py'), 'runserver']
      : [inVenv(NAME, 'gunicorn'), '--workers=1', '--threads=4', `--bind=127.0.0.1:${port}`, 'login_site:application'];
    const ready = `${base}/.well-known/oauth-authorization-server/o`;
    const server = new Program(program, args, { env, ready, log: join(folder, `${port}.log`) });
    await server.start();
    let credential = secret;
    if (bearer) {
      const response = await fetch(`${base}/o/token/`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(`epicme:${secret}`)}` },
        body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'introspection' }),
      });
      credential = (await response.json()).access_token;
      ok(credential, `a token for introspection: ${response.status}`);
    }
    const file = join(folder, `${port}.secret`);
    writeFileSync(file, credential, { mode: 0o600 });
    return {
      places: [['https://login.example', base]],
      files: { EPICME_INTROSPECTION_CLIENT_SECRET_FILE: file },
      secrets: [credential],
      visit: (user) => (url) => new Browser().travel(url, person(user)),
      other: 'https://other.example/api',
      stop: () => server.stop(),
      start: () => server.start(),
    };
  };

/** By the headings of the page. */
export const ways = {
  'With a view that adds the subject': serverWith({ view: true }),
  'With that view, by a token': serverWith({ view: true, bearer: true }),
  'As it is, users by name': serverWith(),
};

/** What is tried besides. */
export const besides = {
  "Under Django's own server, whose replies end with the connection": {
    way: 'As it is, users by name',
    start: serverWith({ runserver: true }),
    go: (journey) => journey.signingIn(),
  },
  'As it is, without a setting': {
    way: 'With a view that adds the subject',
    start: serverWith(),
    go: (journey) =>
      journey.check('a token is 401, and the log says that it has no subject', async () => {
        const tokens = await journey.signIn(await journey.client(), 'ada', 'user:read');
        equal((await journey.tools(tokens)).status, 401, 'status');
        await journey.logged('token without a subject');
      }),
  },
};
