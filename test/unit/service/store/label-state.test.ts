/** SELinux labels of a state in a directory. A kernel without SELinux keeps them as any other attribute. */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { execa } from 'execa';
import { labelTree } from '../../../../src/service/store/label-state.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';

const CONTEXT = 'system_u:object_r:svirt_lxc_file_t:s0';
/** As many as have their turn before others have it, and some. */
const MANY = 1500;
/** Room for the names of some directories. */
const ROOM = 2000;

describe('labelTree', { skip: unlessRoot('sets labels') }, () => {
  it('labels all that is there, and looks now and then whether it is still wanted', async (t) => {
    const top = scratchDirectory(t, WITH_ATTRIBUTES);
    mkdirSync(join(top, 'a/b/c'), { recursive: true });
    mkdirSync(join(top, 'a/d'));
    for (let number = 0; number < MANY; number += 1) writeFileSync(join(top, `a/b/file-${number}`), '');
    for (const path of ['a/b/c/file', 'a/d/file']) writeFileSync(join(top, path), '');
    symlinkSync('nowhere', join(top, 'a/link'));
    // What bounds the state is no file of the sandbox.
    writeFileSync(join(top, 'layers.ext4'), '');
    let looks = 0;
    await labelTree(top, CONTEXT, () => (looks += 1), ROOM);
    assert.equal(looks, 1);
    const words = ['-R', '-h', '-P', '--absolute-names', '-n', 'security.selinux', top];
    const { stdout, stderr } = await execa('getfattr', words, { reject: false });
    assert.match(stderr, /^[^\n]*layers\.ext4: security\.selinux: No such attribute$/);
    assert.equal(stdout.split(`security.selinux="${CONTEXT}"`).length - 1, MANY + 8, stdout.slice(0, 500));
    const stopped = () => assert.fail('not wanted any more');
    await assert.rejects(labelTree(top, CONTEXT, stopped), /not wanted/);
  });

  it('keeps the names of so many directories only', async (t) => {
    const top = scratchDirectory(t, WITH_ATTRIBUTES);
    for (let number = 0; number < 100; number += 1) mkdirSync(join(top, `${number}`));
    await assert.rejects(
      labelTree(top, CONTEXT, () => {}, ROOM),
      { code: 'service-state-too-large', message: RegExp(top) },
    );
    await labelTree(top, CONTEXT);
  });
});
