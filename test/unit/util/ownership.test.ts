/** Who may replace what is at a path: links, sticky directories, groups and access control lists. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, lchownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';
import { othersWhoMayReplace } from '../../../src/util/ownership.js';
import { scratchDirectory, unlessRoot } from '../../helpers/scratch.js';

const OTHER = 65_534;

/** A POSIX access control list: its version, then a tag, permissions and an id for each entry. acl(5) */
function accessList(...entries: readonly (readonly [tag: number, permissions: number, id?: number])[]): Buffer {
  const list = Buffer.alloc(4 + 8 * entries.length);
  list.writeUInt32LE(2, 0);
  entries.forEach(([tag, permissions, id = 0xffffffff], index) => {
    list.writeUInt16LE(tag, 4 + 8 * index);
    list.writeUInt16LE(permissions, 6 + 8 * index);
    list.writeUInt32LE(id, 8 + 8 * index);
  });
  return list;
}

/** Lets another user write, and nobody else. */
const LIST = accessList([0x01, 7], [0x02, 7, OTHER], [0x04, 5], [0x10, 7], [0x20, 5]);

function setAccessList(path: string, list: Buffer): void {
  const setxattr = koffi
    .load('libc.so.6')
    .func('int setxattr(const char *path, const char *name, const void *value, size_t size, int flags)');
  assert.equal(setxattr(path, 'system.posix_acl_access', list, list.length, 0), 0, `errno ${koffi.errno()}`);
}

describe('who may replace a path of root', { skip: unlessRoot('it makes files of other users') }, () => {
  it('is nobody in a directory of root, whether the path exists or not', (t) => {
    const directory = scratchDirectory(t);
    mkdirSync(join(directory, 'a/b'), { recursive: true });
    for (const path of ['a/b', 'a/b/c/d', './a/../a/b/', 'missing/../x'])
      assert.equal(othersWhoMayReplace(join(directory, path)), undefined, path);
    assert.equal(othersWhoMayReplace(`${directory}/a/../a/b/`), undefined);
  });

  it('is the owner of any directory or file on the way', (t) => {
    const directory = scratchDirectory(t);
    mkdirSync(join(directory, 'a/b'), { recursive: true });
    chownSync(join(directory, 'a'), OTHER, 0);
    assert.equal(othersWhoMayReplace(join(directory, 'a/b/c')), `${directory}/a belongs to user ${OTHER}`);
    chownSync(join(directory, 'a'), 0, 0);
    writeFileSync(join(directory, 'a/b/c'), '');
    chownSync(join(directory, 'a/b/c'), OTHER, 0);
    assert.equal(othersWhoMayReplace(join(directory, 'a/b/c')), `${directory}/a/b/c belongs to user ${OTHER}`);
  });

  it('is everybody, or a group, that may write', (t) => {
    const directory = scratchDirectory(t);
    const open = join(directory, 'open');
    mkdirSync(join(open, 'inside'), { recursive: true });
    chmodSync(open, 0o777);
    assert.equal(othersWhoMayReplace(join(open, 'inside')), `everybody may write to ${open}`);
    chmodSync(open, 0o1777);
    assert.equal(othersWhoMayReplace(join(open, 'inside')), undefined, 'nobody else may rename it');
    assert.equal(othersWhoMayReplace(join(open, 'missing')), `everybody may write to ${open}`);
    chmodSync(open, 0o775);
    assert.equal(othersWhoMayReplace(join(open, 'inside')), undefined, 'the group is that of root');
    chownSync(open, 0, OTHER);
    assert.equal(othersWhoMayReplace(join(open, 'inside')), `group ${OTHER} may write to ${open}`);
  });

  it('is somebody whom an access control list names', (t) => {
    const directory = scratchDirectory(t);
    const listed = join(directory, 'listed');
    mkdirSync(join(listed, 'inside'), { recursive: true });
    setAccessList(listed, LIST);
    const asOther = ['--reuid=65534', '--clear-groups', 'mkdir', join(listed, 'theirs')];
    execFileSync('setpriv', asOther);
    assert.match(othersWhoMayReplace(join(listed, 'inside')) ?? '', /^an access control list may let others write to /);
    // Without write permission for the group the list lets nobody write.
    chmodSync(listed, 0o755);
    assert.equal(othersWhoMayReplace(join(listed, 'inside')), undefined);
    assert.throws(() => execFileSync('setpriv', [...asOther.slice(0, -1), join(listed, 'more')], { stdio: 'ignore' }));
  });

  it('is the owner of a link, also of one behind a link of root', (t) => {
    const directory = scratchDirectory(t);
    const at = (name: string) => join(directory, name);
    mkdirSync(at('target'));
    mkdirSync(at('theirs'));
    symlinkSync(at('target'), at('theirs/link'));
    lchownSync(at('theirs/link'), OTHER, OTHER);
    symlinkSync('theirs/link', at('first'));
    symlinkSync('first', at('second'));
    assert.equal(othersWhoMayReplace(at('second/x')), `${directory}/theirs/link belongs to user ${OTHER}`);
    chownSync(at('theirs'), OTHER, OTHER);
    assert.equal(othersWhoMayReplace(at('second/x')), `${directory}/theirs belongs to user ${OTHER}`);
    symlinkSync('../target', at('target/back'));
    assert.equal(othersWhoMayReplace(at('target/back/back')), undefined);
    symlinkSync('loop', at('loop'));
    assert.match(othersWhoMayReplace(at('loop')) ?? '', /leads through too many symbolic links$/);
  });

  it('is, for an ordinary user, neither that user nor root', (t) => {
    const directory = scratchDirectory(t);
    mkdirSync(join(directory, 'theirs/inside'), { recursive: true });
    execFileSync('chown', ['-R', `${OTHER}:${OTHER}`, join(directory, 'theirs')]);
    chmodSync(join(directory, 'theirs'), 0o775);
    mkdirSync(join(directory, 'third'));
    chownSync(join(directory, 'third'), 12_345, 12_345);
    const module = fileURLToPath(new URL('../../../src/util/ownership.js', import.meta.url));
    const ask = (path: string) =>
      execFileSync(
        'setpriv',
        [
          ...[`--reuid=${OTHER}`, `--regid=${OTHER}`, '--clear-groups', process.execPath, '--input-type=module', '-e'],
          `import { othersWhoMayReplace } from '${module}'; console.log(othersWhoMayReplace(process.argv[1]))`,
          path,
        ],
        { encoding: 'utf8' },
      ).trim();
    assert.equal(ask(join(directory, 'theirs/inside')), 'undefined');
    assert.equal(ask(join(directory, 'third/x')), `${directory}/third belongs to user 12345`);
  });
});
