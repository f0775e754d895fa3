// Authorization servers that are programs of their own.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readFileSync } from 'node:fs';
import { setTimeout as later } from 'node:timers/promises';

/** How long a program may take to answer at first, in seconds. */
const LONGEST_START = 60;

/** The version of a package that `requirements.txt` in this folder pins. */
export function pinned(folder, name) {
  const lines = readFileSync(new URL(`./${folder}/requirements.txt`, import.meta.url), 'utf8').split('\n');
  return lines.find((line) => line.startsWith(`${name}==`) || line.startsWith(`${name}[`)).split('==')[1];
}

/** What is in the virtual environment of this folder. */
export const inVenv = (folder, name) => new URL(`./${folder}/.venv/bin/${name}`, import.meta.url).pathname;

/** Runs a program to its end. */
export function run(program, args, { env, cwd }) {
  return execFileSync(program, args, { env: { ...process.env, ...env }, cwd, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });
}

/** A program that serves until it is stopped, and can be started again. `ready` is a URL that it answers. */
export class Program {
  constructor(program, args, { env, cwd, ready, log }) {
    Object.assign(this, { program, args, options: { env: { ...process.env, ...env }, cwd }, ready, log });
  }

  async start() {
    // A group of its own, for the workers that it starts.
    const child = spawn(this.program, this.args, { ...this.options, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    for (const output of [child.stdout, child.stderr]) output.on('data', (text) => appendFileSync(this.log, text));
    this.child = child;
    this.orphan = () => this.#kill('SIGKILL');
    process.on('exit', this.orphan);
    for (const end = Date.now() + LONGEST_START * 1000; Date.now() < end; await later(100)) {
      if (child.exitCode !== null) break;
      const answer = await fetch(this.ready, { redirect: 'manual' }).catch(() => undefined);
      if (answer && answer.status < 500) return;
    }
    throw new Error(`${this.program} does not answer at ${this.ready}:\n${readFileSync(this.log, 'utf8').slice(-2000)}`);
  }

  async stop() {
    if (!this.child || this.child.exitCode !== null) return;
    const ended = once(this.child, 'exit');
    this.#kill('SIGTERM');
    await ended;
    process.off('exit', this.orphan);
  }

  #kill(signal) {
    try {
      process.kill(-this.child.pid, signal);
    } catch {
      // It has ended.
    }
  }
}
