// A PostgreSQL of one's own, from the machine's binaries, gone at the end.

import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Starts it; gives its URL and a way to stop it. `DATABASE_URL`, if set, is taken as it is. */
export function startPostgres() {
  if (process.env.DATABASE_URL) return { url: process.env.DATABASE_URL, stop() {} };
  const bin = binaries();
  const directory = mkdtempSync(join(tmpdir(), 'epicme-clients-'));
  // PostgreSQL refuses to run as root.
  const as = process.getuid() === 0 ? someoneElse() : {};
  if (as.uid !== undefined) chownSync(directory, as.uid, as.gid);
  const data = join(directory, 'data');
  const run = (name, ...args) =>
    execFileSync(join(bin, name), args, { cwd: directory, stdio: ['ignore', 'ignore', 'inherit'], ...as });
  run('initdb', '-D', data, '-U', 'epicme', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync');
  const options = `-c listen_addresses='' -c unix_socket_directories='${directory}' -c fsync=off`;
  run('pg_ctl', '-D', data, '-l', join(directory, 'log'), '-w', '-o', options, 'start');
  return {
    url: `postgresql://epicme@${encodeURIComponent(directory)}/postgres`,
    stop() {
      run('pg_ctl', '-D', data, '-m', 'fast', '-w', 'stop');
      rmSync(directory, { recursive: true });
    },
  };
}

function binaries() {
  const versions = '/usr/lib/postgresql';
  const places = [
    ...process.env.PATH.split(':'),
    ...(existsSync(versions) ? readdirSync(versions) : []).sort((a, b) => b - a).map((it) => join(versions, it, 'bin')),
  ];
  const place = places.find((it) => existsSync(join(it, 'initdb')) && existsSync(join(it, 'pg_ctl')));
  if (!place) throw new Error('no PostgreSQL here: install one, or set DATABASE_URL');
  return place;
}

function someoneElse() {
  for (const user of ['postgres', 'nobody']) {
    try {
      const id = (flag) => Number(execFileSync('id', [flag, user], { stdio: ['ignore', 'pipe', 'ignore'] }));
      return { uid: id('-u'), gid: id('-g') };
    } catch {
      // There is no such user.
    }
  }
  throw new Error('PostgreSQL does not run as root, and there is neither a user postgres nor nobody');
}
