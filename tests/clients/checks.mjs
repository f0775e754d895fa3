// Checks that go on after a failure: a line each, and a count at the end.

export class Checks {
  #name;
  #passed = 0;
  #failed = 0;

  constructor(name) {
    this.#name = name;
  }

  async check(what, body) {
    try {
      await body();
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

export function ok(truth, what) {
  if (!truth) throw new Error(what);
}

export function equal(left, right, what) {
  if (left !== right) throw new Error(`${what}: ${JSON.stringify(left)} is not ${JSON.stringify(right)}`);
}
