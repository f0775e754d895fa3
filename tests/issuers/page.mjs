// What a page of docs/issuers says to set, so that nothing else is tried than what it says.

import { readFileSync } from 'node:fs';

/** The lines of each way of the page, by its heading. */
export function configurations(name) {
  const text = readFileSync(new URL(`../../docs/issuers/${name}.md`, import.meta.url), 'utf8');
  const ways = new Map();
  for (const section of text.split('\n### ').slice(1)) {
    const heading = section.slice(0, section.indexOf('\n'));
    const block = /```sh\n([\s\S]*?)```/.exec(section)?.[1];
    if (!block || ways.has(heading)) throw new Error(`${name}: ${heading} has no configuration of its own`);
    ways.set(
      heading,
      block.trim().split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
  }
  return ways;
}

/**
 * The same lines for a server at another place: `places` has what to put for what the page says, and
 * `files` the file for each key that names one.
 */
export function settings(lines, places, files) {
  const here = (value) => places.reduce((text, [page, real]) => text.replaceAll(page, real), value);
  return Object.fromEntries(
    lines.map(([key, value]) => {
      if (!key.endsWith('_FILE')) return [key, here(value)];
      if (!files[key]) throw new Error(`there is no file for ${key}`);
      return [key, files[key]];
    }),
  );
}
