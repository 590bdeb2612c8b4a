/** The lists of this host that completions offer. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { it } from 'node:test';
import { UNIT_DIRECTORIES } from '../../../init/common/systemd-scripts.js';
import { packagesLine, posixQuote, unitsLine } from '../../../man/completions/host-lists.js';
import { findPackage, packageManagerOf } from '../../../src/service/content/package-manager.js';
import { filesOfDirectory, findUnit } from '../../../src/service/units/find.js';
import { scratchDirectory } from '../../helpers/scratch.js';

const printedBy = (line: string) =>
  execFileSync('/bin/sh', ['-c', line], { encoding: 'utf8' })
    .split('\n')
    .filter((word) => word !== '');

it('the units are those that create takes', (t) => {
  const root = scratchDirectory(t);
  const add = (path: string, text = '[Unit]\n') => {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const link = (target: string, path: string) => symlinkSync(target, join(root, path));
  const [etc, run, , usr] = UNIT_DIRECTORIES;
  for (const name of ['a.service', 'b.socket', 't@.service', 't@.socket', 't@one.service', 'x\\x2dy.mount'])
    add(`${usr}/${name}`);
  for (const name of ['a.service', 'a.service.d/x.conf', 'new.timer', 'empty.service', 'nulled.service'])
    add(`${usr}/${name}`);
  for (const name of ['readme.txt', 'one two.service', '.hidden.service', '$(x).service']) add(`${usr}/${name}`);
  add(`${run}/a.service`);
  add(`${etc}/empty.service`, '');
  link('/dev/null', `${etc}/nulled.service`);
  link('../../../usr/lib/systemd/system/a.service', `${etc}/alias.service`);
  link('no-such.service', `${etc}/b.socket`);
  link('no-such.service', `${etc}/dangling.service`);
  const directories = UNIT_DIRECTORIES.map((directory) => join(root, directory));
  const printed = printedBy(unitsLine(posixQuote, directories));
  assert.deepEqual(
    printed.toSorted(),
    [
      ...['a.service', 'alias.service', 'b.socket', 'new.timer'],
      ...['t@', 't@.socket', 't@one.service', 'x\\x2dy.mount'],
    ].toSorted(),
  );
  for (const word of printed) findUnit(filesOfDirectory(root), word, 'web');
});

it('the packages are those that create takes', async (t) => {
  const manager = packageManagerOf('/');
  if (manager === undefined) return t.skip('this host has no packages');
  const printed = printedBy(packagesLine(posixQuote));
  const installed = await manager.installed();
  assert.equal(printed.length, installed.length);
  await findPackage(manager, printed[0] ?? '');
});
