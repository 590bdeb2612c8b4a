/** Files of a state that a guest has made are changed without leaving it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { DirectoryFiles } from '../../../../src/service/clone/directory-files.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

/** @param etc where /etc is among the layers */
function stateWith(t: TestContext, etc: string, kind: 'machine' | 'container' = 'machine') {
  const directory = scratchDirectory(t);
  const layers = join(directory, 'layers');
  mkdirSync(join(layers, etc), { recursive: true });
  return { files: new DirectoryFiles({ directory, layers, root: '/', kind }), at: join(layers, etc), directory };
}

describe('DirectoryFiles', { skip: unlessRoot('it gives files away') }, () => {
  it('replaces a file, which keeps its owner and its mode', async (t) => {
    const { files, at } = stateWith(t, 'upper/etc');
    writeFileSync(join(at, 'machine-id'), 'old');
    chownSync(join(at, 'machine-id'), 12, 34);
    chmodSync(join(at, 'machine-id'), 0o4444);
    assert.equal(String(await files.read('/etc/machine-id')), 'old');
    await files.replace('/etc/machine-id', 'new');
    const { uid, gid, mode } = lstatSync(join(at, 'machine-id'));
    assert.deepEqual({ uid, gid, mode: mode & 0o7777 }, { uid: 12, gid: 34, mode: 0o444 });
    assert.equal(readFileSync(join(at, 'machine-id'), 'utf8'), 'new');
    assert.deepEqual(readdirSync(at), ['machine-id']);
  });

  it('takes the layer of the innermost mount of a container', async (t) => {
    const { files, at } = stateWith(t, 'mounts/%2Fetc/upper', 'container');
    mkdirSync(join(at, '../../%2F/upper/etc'), { recursive: true });
    writeFileSync(join(at, '../../%2F/upper/etc/machine-id'), 'covered');
    writeFileSync(join(at, 'machine-id'), 'seen');
    assert.equal(String(await files.read('/etc/machine-id')), 'seen');
  });

  it('finds nothing where a guest has put links, pipes, devices and what is too long', async (t) => {
    const { files, at, directory } = stateWith(t, 'upper/etc');
    writeFileSync(join(directory, 'host'), 'of the host');
    symlinkSync(join(directory, 'host'), join(at, 'link'));
    symlinkSync(directory, join(at, 'way'));
    execFileSync('sh', ['-ec', 'mkfifo pipe; mknod whiteout c 0 0; mkdir directory; truncate -s 1M long'], { cwd: at });
    for (const name of ['link', 'way/host', 'pipe', 'whiteout', 'directory', 'long', 'none', 'none/none']) {
      assert.equal(await files.read(`/etc/${name}`), undefined, name);
      await files.replace(`/etc/${name}`, 'changed');
    }
    assert.equal(readFileSync(join(directory, 'host'), 'utf8'), 'of the host');
    assert.ok(lstatSync(join(at, 'link')).isSymbolicLink());
    assert.ok(!readdirSync(at).some((name) => name.startsWith('.virt-sandbox')));
  });
});
