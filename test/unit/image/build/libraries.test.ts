/** Shared libraries of a program, found without running it, against those that the loader lists. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { readLinkedProgram } from '../../../../src/image/build/libraries.js';
import { forgetInputs } from '../../../../src/util/input-log.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

/** Names and contents of the libraries that ld.so lists. Some versions do not list what ld.so itself needs. */
function loaderSays(program: string): Map<string, Buffer> {
  const lines = execFileSync('ldd', [program], { encoding: 'utf8' }).matchAll(/^\s*(\S+) => (\/\S+) /gm);
  return new Map([...lines].map(([, name = '', path = '']) => [name, readFileSync(path)]));
}

for (const program of [process.execPath, '/bin/bash', '/usr/bin/qemu-system-x86_64']) {
  it(`${program} gets all of its libraries`, async () => {
    const { content, loader, libraries } = await readLinkedProgram(program, forgetInputs);
    assert.deepEqual(content, readFileSync(program));
    assert.equal(loader.toString('latin1', 1, 4), 'ELF');
    const expected = [...loaderSays(program)].sort(([a], [b]) => (a < b ? -1 : 1));
    const found = libraries.filter(([name]) => !name.startsWith('ld-linux'));
    assert.deepEqual(
      found.map(([name]) => name),
      expected.map(([name]) => name),
    );
    for (const [name, library] of expected)
      assert.ok(found.find(([other]) => other === name)?.[1].equals(library), name);
  });
}

it('through $ORIGIN, and a missing one', async (context) => {
  const directory = scratchDirectory(context);
  mkdirSync(join(directory, 'lib'));
  writeFileSync(join(directory, 'own.c'), 'int own(void) { return 3; }');
  writeFileSync(join(directory, 'main.c'), 'int own(void); int main(void) { return own(); }');
  const gcc = (...args: readonly string[]) => execFileSync('gcc', args, { cwd: directory });
  gcc('-shared', '-fPIC', '-o', 'lib/libown.so', 'own.c');
  gcc('-o', 'program', 'main.c', '-Llib', '-lown', '-Wl,-rpath,$ORIGIN/lib');
  const program = join(directory, 'program');
  const { libraries } = await readLinkedProgram(program, forgetInputs);
  assert.deepEqual(
    libraries.find(([name]) => name === 'libown.so')?.[1],
    readFileSync(join(directory, 'lib/libown.so')),
  );
  renameSync(join(directory, 'lib'), join(directory, 'elsewhere'));
  await rejectsWith(
    readLinkedProgram(program, forgetInputs),
    'node-unusable',
    /libown\.so, which .*program needs, cannot be found/,
  );
  await rejectsWith(readLinkedProgram(join(directory, 'none'), forgetInputs), 'node-unusable', /cannot be found/);
  await rejectsWith(readLinkedProgram(join(directory, 'main.c'), forgetInputs), 'node-unusable', /no program/);
});
