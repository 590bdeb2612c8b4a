/** Finding the units that a service is to run. */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { filesOfDirectory, findUnit as findUnitIn } from '../../../../src/service/units/find.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

/** A root with these files, and these links. */
function rootWith(
  context: TestContext,
  files: readonly string[],
  links: Readonly<Record<string, string>> = {},
): string {
  const root = scratchDirectory(context);
  const place = (path: string) => {
    mkdirSync(join(root, path, '..'), { recursive: true });
    return join(root, path);
  };
  for (const file of files) writeFileSync(place(file), '[Service]\nExecStart=/bin/true\n');
  for (const [path, target] of Object.entries(links)) symlinkSync(target, place(path));
  return root;
}

const findUnit = (root: string, word: string, service: string) => findUnitIn(filesOfDirectory(root), word, service);

const withCode = (code: string) => (error: unknown) => error instanceof SandboxError && error.code === code;

describe('findUnit', () => {
  it('adds .service, and takes the first directory of systemd', (context) => {
    const both = ['etc/systemd/system/web.service', 'usr/lib/systemd/system/web.service'];
    const root = rootWith(context, both);
    assert.deepEqual(findUnit(root, 'web', 'x'), { name: 'web.service', path: '/etc/systemd/system/web.service' });
    assert.deepEqual(findUnit(root, 'web.service', 'x').path, '/etc/systemd/system/web.service');
  });

  it('finds a unit that has a dot in its name, and other types', (context) => {
    const root = rootWith(context, ['usr/lib/systemd/system/a.b.service', 'usr/lib/systemd/system/a.socket']);
    assert.equal(findUnit(root, 'a.b', 'x').name, 'a.b.service');
    assert.equal(findUnit(root, 'a.socket', 'x').name, 'a.socket');
  });

  it('names the instance of a template after the service', (context) => {
    const root = rootWith(context, ['usr/lib/systemd/system/db@.service']);
    const path = '/usr/lib/systemd/system/db@.service';
    assert.deepEqual(findUnit(root, 'db@', 'web'), { name: 'db@web.service', path });
    assert.deepEqual(findUnit(root, 'db@', 'web-1'), { name: 'db@web\\x2d1.service', path });
    assert.deepEqual(findUnit(root, 'db@main.service', 'web'), { name: 'db@main.service', path });
  });

  it('follows the links of the root inside of it', (context) => {
    const root = rootWith(context, ['usr/lib/systemd/system/real.service'], {
      'etc/systemd/system/alias.service': '/usr/lib/systemd/system/real.service',
      'etc/systemd/system/beside.service': '../../../usr/lib/systemd/system/real.service',
    });
    assert.equal(findUnit(root, 'alias', 'x').path, '/etc/systemd/system/alias.service');
    assert.equal(findUnit(root, 'beside', 'x').path, '/etc/systemd/system/beside.service');
  });

  it('says that one is masked', (context) => {
    const unit = 'usr/lib/systemd/system/web.service';
    const root = rootWith(context, [unit], { 'etc/systemd/system/web.service': '/dev/null' });
    assert.throws(() => findUnit(root, 'web', 'x'), withCode('unit-masked'));
  });

  it('says what there is not', (context) => {
    const root = rootWith(context, ['usr/lib/systemd/system/web.service'], {
      'etc/systemd/system/loop.service': 'loop.service',
      'etc/systemd/system/gone.service': '/usr/lib/systemd/system/gone.service',
    });
    for (const name of ['none', 'loop', 'gone', 'web@x'])
      assert.throws(() => findUnit(root, name, 'x'), withCode('unit-not-found'), name);
  });

  for (const name of ['', '../web', 'a/b', 'a b', '.x', `${'x'.repeat(250)}.service`, 'a\n', 'ä'])
    it(`refuses ${JSON.stringify(name.slice(0, 20))}`, (context) => {
      assert.throws(() => findUnit(rootWith(context, []), name, 'x'), withCode('unit-name-invalid'));
    });
});
