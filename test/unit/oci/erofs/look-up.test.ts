/** Finding files in an image by their paths. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { withLookUp } from '../../../../src/oci/erofs/look-up.js';
import { ErofsError } from '../../../../src/oci/erofs/reader.js';
import { unlessProgram } from '../../../helpers/images.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

function made(context: TestContext): string {
  const directory = scratchDirectory(context);
  const [tree, image] = [join(directory, 'tree'), join(directory, 'image')];
  mkdirSync(join(tree, 'usr/lib/systemd'), { recursive: true });
  mkdirSync(join(tree, 'etc'));
  writeFileSync(join(tree, 'usr/lib/systemd/systemd'), 'program', { mode: 0o755 });
  const links = {
    lib: 'usr/lib',
    init: '/lib/systemd/systemd',
    'etc/up': '../../../../usr/lib',
    'etc/host': '/etc/passwd',
    loop: 'loop',
    round: 'round/a',
  };
  for (const [path, target] of Object.entries(links)) symlinkSync(target, join(tree, path));
  execFileSync('mkfs.erofs', ['--quiet', image, tree], { stdio: 'pipe' });
  return image;
}

describe('a path in an image', { skip: unlessProgram('mkfs.erofs') }, () => {
  it('goes over links of the image, and stays in it', (context) => {
    withLookUp(made(context), (lookUp) => {
      for (const path of ['/usr/lib/systemd/systemd', '/lib/systemd/systemd', 'etc/up/systemd/../systemd/systemd'])
        assert.deepEqual(lookUp(path), { kind: 'file', size: 7, mode: 0o100755, target: undefined }, path);
      assert.equal(lookUp('/init')?.target, '/lib/systemd/systemd');
      assert.equal(lookUp('/init', true)?.kind, 'file');
      assert.equal(lookUp('/../..')?.kind, 'directory');
    });
  });

  it('leads to nothing where nothing is, and ends where links go round', (context) => {
    withLookUp(made(context), (lookUp) => {
      for (const path of ['/none', '/init/x', '/usr/lib/systemd/systemd/x', '/etc/passwd'])
        assert.equal(lookUp(path), undefined, path);
      for (const path of ['/etc/host', '/loop', '/round', '/loop/x', '/round/x'])
        assert.equal(lookUp(path, true), undefined, path);
    });
  });

  it('goes over no file', (context) => {
    withLookUp(made(context), (lookUp) => assert.equal(lookUp('/usr/lib/systemd/systemd/..'), undefined));
  });

  it('has an end where an image makes it long', (context) => {
    const image = made(context);
    const look = (most: number) => withLookUp(image, (lookUp) => lookUp('usr/lib/../../'.repeat(1000)), most);
    assert.equal(look(100_000)?.kind, 'directory');
    assert.throws(() => look(1000), /too many to find a file/);
  });

  it('is no path where the image is damaged', (context) => {
    const image = made(context);
    truncateSync(image, 1100);
    assert.throws(() => withLookUp(image, (lookUp) => lookUp('/lib')), ErofsError);
  });
});
