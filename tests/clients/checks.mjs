// Checks that go on after a failure: a line each, and a count at the end.

/** How long a check may take, and how long it waits for what the server says unasked, in seconds. */
const LONGEST_CHECK = 60;
const LONGEST_WAIT = 15;

export class Checks {
  #name;
  #passed = 0;
  #failed = 0;

  constructor(name) {
    this.#name = name;
  }

  async check(what, body) {
    try {
      await within(body(), 'an end of the check', LONGEST_CHECK);
      this.#passed += 1;
      console.log(`ok      ${this.#name}, ${what}`);
    } catch (error) {
      this.#failed += 1;
      console.log(`FAILED  ${this.#name}, ${what}\n        ${error?.stack ?? error}`);
      for (let cause = error?.cause; cause; cause = cause.cause) console.log(`        because ${cause}`);
    }
  }

  end() {
    console.log(`${this.#name}: ${this.#passed} passed, ${this.#failed} failed`);
    process.exit(this.#failed ? 1 : 0);
  }
}

/** What the promise gives, if it does so in time. */
export async function within(promise, what, seconds = LONGEST_WAIT) {
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${seconds} s`)), seconds * 1000);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

export function ok(truth, what) {
  if (!truth) throw new Error(what);
}

export function equal(left, right, what) {
  if (left !== right) throw new Error(`${what}: ${JSON.stringify(left)} is not ${JSON.stringify(right)}`);
}

/** As `equal`, of values that JSON can write. */
export function same(left, right, what) {
  equal(JSON.stringify(left), JSON.stringify(right), what);
}
