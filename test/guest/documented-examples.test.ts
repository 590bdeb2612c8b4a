/** The examples of docs/ for programs run as they stand, and print what the page shows below them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { assertRun, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

interface Example {
  readonly code: string;
  /** Undefined if no document can know it, such as the time. */
  readonly output: string | undefined;
}

function examplesOf(path: string): Example[] {
  const blocks = readFileSync(path, 'utf8').matchAll(/^```js\n(.*?)^```\n(?:\n```output\n(.*?)^```\n)?/gms);
  return Array.from(blocks, ([, code = '', output]) => ({ code, output }));
}

describe('the API examples', { skip: embedded.skip }, () => {
  for (const [path, count] of [
    ['README.md', 1],
    ['docs/api.md', 13],
    ['docs/sandbox-cfg.md', 1],
  ] as const) {
    it(`of ${path} run as documented`, async (context) => {
      const directory = scratchDirectory(context);
      mkdirSync(join(directory, 'node_modules'));
      symlinkSync(process.cwd(), join(directory, 'node_modules/virt-sandbox'));
      const job = ['-S', 'nobody', '--save-config', join(directory, 'job.cfg'), '--', '/bin/true'];
      assertRun(await runSandbox(job), 0, '');
      const examples = examplesOf(path);
      assert.equal(examples.length, count);
      for (const [index, { code, output }] of examples.entries()) {
        const file = join(directory, `${index}.mjs`);
        writeFileSync(file, code);
        const path = `${join(process.cwd(), 'bin')}:${process.env['PATH']}`;
        const env = { ...process.env, LIBVIRT_DEFAULT_URI: embedded.uri, PATH: path };
        const printed = execFileSync(process.execPath, [file], { cwd: directory, env, encoding: 'utf8' });
        if (output === undefined) assert.match(printed, /^.*20\d\d\n$/, code);
        else assert.equal(printed, output, code);
      }
    });
  }

  it('name every key and every stage', async () => {
    const text = readFileSync('docs/api.md', 'utf8');
    const { checkStart } = await import('../../src/sandbox/prepare/start-schema.js');
    const known = [
      [{ command: [], nothing: 1 }, {}],
      [{ command: [] }, { nothing: 1 }],
    ].map(([sandbox, options]) => {
      try {
        checkStart(sandbox, options);
      } catch (error) {
        return /there are (.*)$/.exec((error as { remedy: string }).remedy)?.[1]?.split(', ') ?? [];
      }
      return [];
    });
    const stages =
      /export type Stage =(.*?);/s.exec(readFileSync('src/util/errors.ts', 'utf8'))?.[1]?.match(/\w+/g) ?? [];
    assert.deepEqual(
      [...known, stages].map(({ length }) => length > 9),
      [true, true, true],
    );
    for (const word of [...known.flat(), ...stages]) assert.ok(text.includes(`\`${word}\``), word);
  });
});
