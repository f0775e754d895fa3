// A browser without a screen: it keeps cookies, reads the form of a page and follows redirects, until
// one leads out of the site.

const unescaped = (text) =>
  text.replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&quot;/g, '"').replace(/&#39;/g, "'").replace(/&amp;/g, '&');

const attribute = (tag, name) => {
  const found = new RegExp(`\\s${name}="([^"]*)"`).exec(tag);
  return found ? unescaped(found[1]) : undefined;
};

export class Browser {
  #cookies = new Map();

  /**
   * Opens a URL and answers every page until the way leads out of the site: to the URL that this
   * gives. `answer` is shown a page's HTML and says which fields to `fill` in, which boxes to leave
   * `without` a tick, which to `tick` that have none, and which `button` to press, in the first form
   * or the one that has the text `within`.
   */
  async travel(start, answer) {
    let url = new URL(start);
    const { origin } = url;
    let init;
    for (let step = 0; step < 20; step += 1) {
      const response = await this.#fetch(url, init);
      const html = await response.text();
      const location = response.headers.get('location');
      if (location) {
        url = new URL(location, url);
        if (url.origin !== origin) return url;
        init = undefined;
        continue;
      }
      if (response.status >= 400) throw new Error(`the browser sees ${response.status} at ${url}: ${html}`);
      const { within = '', ...choice } = answer(html);
      const form = (html.match(/<form[^>]*>[\s\S]*?<\/form>/g) ?? []).find((it) => it.includes(within));
      if (!form) throw new Error(`no form at ${url}: ${html}`);
      const target = new URL(attribute(form, 'action') ?? url, url);
      init = { method: 'POST', body: filledIn(form, choice), headers: { origin: target.origin } };
      url = target;
    }
    throw new Error(`the way through ${origin} has no end`);
  }

  /** A page that is opened besides, as it is for who has signed in. */
  async open(url) {
    return (await this.#fetch(url)).text();
  }

  async #fetch(url, init = {}) {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { ...init.headers, ...(cookie && { cookie }) };
    const response = await fetch(url, { redirect: 'manual', ...init, headers });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (value) this.#cookies.set(name, value);
      else this.#cookies.delete(name);
    }
    return response;
  }
}

function filledIn(form, { fill = {}, without = [], tick = [], button }) {
  const body = new URLSearchParams();
  for (const [tag] of form.matchAll(/<input[^>]*>/g)) {
    const name = attribute(tag, 'name');
    const value = fill[name] ?? attribute(tag, 'value') ?? '';
    const isBox = attribute(tag, 'type') === 'checkbox';
    const isTicked = (/\schecked/.test(tag) || tick.includes(value)) && !without.includes(value);
    if (!name || (isBox && !isTicked)) continue;
    body.append(name, value);
  }
  if (button) body.append(...button);
  return body;
}

/** How somebody goes through mock-auth's pages: what was left out once is not ticked the next time. */
export function atMockAuth(user, { without = [], tick = [] } = {}) {
  return (html) =>
    html.includes('Who are you?') ? { button: ['user', user] } : { button: ['decision', 'allow'], without, tick };
}

/** How somebody goes through oidc-provider's pages for development. */
export function atOidcProvider(user) {
  return () => ({ fill: { login: user, password: 'any' } });
}
