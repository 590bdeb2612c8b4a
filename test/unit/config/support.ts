/** Helpers of the tests of src/config. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { UserDatabase } from '../../../src/config/identity.js';
import { SandboxError, type Stage } from '../../../src/util/errors.js';

/** Asserts that `act` fails with `code`, on one line with each of `names`, and with a remedy. */
export async function refuses(
  act: () => unknown,
  stage: Stage,
  code: string,
  ...names: readonly string[]
): Promise<void> {
  try {
    await act();
  } catch (error) {
    assert.ok(error instanceof SandboxError, `not a SandboxError: ${String(error)}`);
    assert.equal(error.code, code);
    assert.equal(error.stage, stage);
    for (const name of names) {
      assert.ok(error.message.includes(name), `${JSON.stringify(error.message)} does not name ${JSON.stringify(name)}`);
    }
    assert.notEqual(error.remedy, '');
    assert.doesNotMatch(error.line, /\n/);
    return;
  }
  assert.fail(`nothing was thrown instead of ${code}`);
}

/** A directory for one test, removed after it. */
export async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'virt-sandbox-config-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Users for one test, without a name service. */
export async function testUsers(t: TestContext): Promise<UserDatabase> {
  const directory = await temporaryDirectory(t);
  const passwdFile = join(directory, 'passwd');
  const groupFile = join(directory, 'group');
  await writeFile(passwdFile, PASSWD);
  await writeFile(groupFile, GROUP);
  return { passwdFile, groupFile, nameService: false };
}

const PASSWD = `root:x:0:0:The Superuser:/root:/bin/sh
daemon:x:1:1::/:/usr/sbin/nologin
# not a user
broken:x:many:100::/home/broken:/bin/sh
ada:x:2001:2001:Ada,,,:/home/ada:/bin/sh
homeless:x:2002:2001::nowhere:/bin/sh
nogroups:x:2003:2003::/home/nogroups:/bin/sh
`;

const GROUP = `root:x:0:
ada:x:2001:
video:x:44:ada,daemon
adalike:x:45:adam,bada
audio:x:29:ada
own:x:2001:ada
bad:x:-1:ada
`;

/** Pseudo-random numbers, the same in each run (xorshift). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 1;
  }

  /** An integer from 0 up to but not including `limit`. */
  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % limit;
  }

  chance(): boolean {
    return this.below(2) === 1;
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0];
  }

  /** Text of up to `longest` characters, rich in characters with a meaning in files and option grammars. */
  text(longest: number): string {
    let text = '';
    for (let left = this.below(longest + 1); left > 0; left -= 1) text += this.pick(AWKWARD);
    return text;
  }

  list<T>(longest: number, make: (index: number) => T): T[] {
    return Array.from({ length: this.below(longest + 1) }, (_, index) => make(index));
  }
}

const AWKWARD = [
  'a',
  'Z',
  '7',
  ' ',
  '\t',
  '\n',
  '\r',
  '\\',
  's',
  '=',
  '[',
  ']',
  '#',
  ';',
  ':',
  ',',
  '/',
  '%',
  '"',
  '\u0001',
  'ä',
  '\u2028',
  '😀',
] as const;
