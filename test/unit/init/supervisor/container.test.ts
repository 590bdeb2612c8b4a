/** What libvirt left of a container whose launcher is dead goes with its state directory, unless libvirt still has it. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { hostProgram } from '../../../../src/util/programs.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

/** No process has this ID: it is beyond what the kernel gives. */
const DEAD = '4194304 1';

/** In a mount namespace of its own: $1 are files of libvirt, $2 the supervisor, $3 the state directory. */
const SCRIPT = `
mkdir -p /run/libvirt
mount -t tmpfs tmpfs /run/libvirt
mkdir -p /run/libvirt/lxc/state.dev /run/libvirt/lxc/state.devpts /run/libvirt/lxc/state2.dev
touch /run/libvirt/lxc/state.sock $1
"$2" --remove-stale "$3"
ls /run/libvirt/lxc`;

const ALL = ['state.dev', 'state.devpts', 'state.sock'];

for (const { what, flagged, known, left } of [
  { what: 'goes', flagged: true, known: [], left: [] },
  { what: 'stays while libvirt has it', flagged: true, known: ['state.xml'], left: [...ALL, 'state.xml'] },
  { what: 'stays while its controller runs', flagged: true, known: ['state.pid'], left: [...ALL, 'state.pid'] },
  { what: 'is not looked for where the sandbox was a machine', flagged: false, known: [], left: ALL },
])
  it(`what libvirt left of a container ${what}`, { skip: unlessRoot('makes a mount namespace') }, (t) => {
    const path = join(scratchDirectory(t), 'state');
    mkdirSync(path);
    writeFileSync(join(path, 'owner'), `${DEAD}\n`);
    if (flagged) writeFileSync(join(path, 'container'), '');
    const files = known.map((name) => `/run/libvirt/lxc/${name}`).join(' ');
    const words = ['--mount', 'sh', '-euc', SCRIPT, 'sh', files, hostProgram('supervisor'), path];
    const { status, stdout, stderr } = spawnSync('unshare', words, { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    assert.deepEqual(stdout.trim().split('\n').sort(), [...left, 'state2.dev'].sort());
  });
