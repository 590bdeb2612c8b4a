/**
 * Promise: no root leads what the init of a container mounts anywhere else. Until it switches to the root, a link of
 * the root leads through libvirt's first one, which has what libvirt has bound, and which has to go away whole.
 * The attacker has made the root, with links where mounts have to go. The victims are files of the host, and what all
 * containers start in.
 */
import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, it } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { ext4Of, unlessProgram } from '../helpers/images.js';
import { containerGround } from '../helpers/oci/container-ground.js';
import { makeRoot, unlessBusybox } from '../helpers/roots.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';

const SHELL = { ...lxc.options, shell: ['/bin/busybox', 'sh'] } as const;
const TARGETS = ['/', '/native', '../..', '/dev/.sandbox', '/srv/shared', 'nowhere'];

const { shelf, mountShared, victims } = containerGround('links');

/** Beside what must stay as it is. It goes with the tests of this file. */
const diskOf = (root: string) => ext4Of(root, join(shelf, `${basename(root)}.img`));

/** The ways to give a container a root, as words, but images (container-image.test.ts). */
const ROOTS: Readonly<Record<string, (root: string) => readonly string[]>> = {
  'a directory': (root) => ['-r', root],
  'a directory under an overlay': (root) => ['-r', root, '--overlay'],
  'a directory that can be written to': (root) => ['-m', `host-bind:/=${root}`],
  'a disk': (root) => ['-m', `host-image:/=${diskOf(root)}`],
  'a disk that is only read': (root) => ['-m', `host-image:/=${diskOf(root)},ro`],
};

describe('a root of a container', {
  skip: lxc.skip || unlessBusybox || unlessProgram('mkfs.ext4'),
  concurrency: 2,
}, () => {
  for (const [kind, words] of Object.entries(ROOTS)) {
    for (const name of ['dev', 'proc', 'sys']) {
      it(`is ${kind}, with a link at /${name}, which leads nowhere`, async (t) => {
        const earlier = victims();
        for (const target of TARGETS) {
          const root = makeRoot(t, ...['dev', 'proc', 'sys', 'tmp', 'srv/shared'].filter((each) => each !== name));
          symlinkSync(target, join(root, name));
          const command = ['/bin/busybox', 'sh', '-c', '[ / -ef /.. ] && echo ended'];
          const run = ['-c', lxc.uri, ...words(root), ...mountShared, '--', ...command];
          const result = await runSandbox(run, SHELL);
          if (name === 'sys' && !run.includes('--overlay')) assertRun(result, 0, 'ended\n');
          else assertFailure(result, new RegExp(`the root has a symbolic link or a file at /${name},`));
        }
        assert.equal(victims(), earlier);
      });
    }
  }
});
