/** What the emulated machine is started with, and what runs in it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { writtenInside } from '../../../../src/bench/nested/exchange.js';
import { insideScript, UNPREPARED } from '../../../../src/bench/nested/inside.js';
import { checkMemory, machineArgv } from '../../../../src/bench/nested/machine.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const INSIDE = {
  programs: '/opt/own/bin',
  command: ['/opt/own/bin/virt-sandbox-bench', 'run', '--options=-e A="1 2"'],
  snapshots: [],
};

describe('the script inside', () => {
  it('is one that a shell understands, with a snapshot and without', () => {
    for (const snapshots of [[], [['--for', '--accel kvm -e "A=it\'s"']]]) {
      const script = insideScript({ ...INSIDE, snapshots });
      const { status, stderr } = spawnSync('sh', ['-n'], { input: script, encoding: 'utf8' });
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    }
  });

  it('says that the kernel has no kvm_amd, and does nothing else', (t) => {
    const directory = scratchDirectory(t);
    const modprobe = join(directory, 'modprobe');
    writeFileSync(modprobe, '#!/bin/sh\necho "FATAL: Module $1 not found" >&2\nexit 1\n');
    chmodSync(modprobe, 0o755);
    const env = { PATH: `${directory}:/usr/bin:/bin` };
    const { status, stderr } = spawnSync('sh', ['-c', insideScript(INSIDE)], { encoding: 'utf8', env });
    assert.equal(status, UNPREPARED);
    assert.match(stderr, /^virt-sandbox-bench: nested: the guest's kernel, \S+, does not load kvm_amd, .*not found\n$/);
  });
});

describe('what the machine wrote', () => {
  it('is read, and is nothing where it wrote nothing', (t) => {
    const directory = scratchDirectory(t);
    writeFileSync(join(directory, 'result.json'), '{}');
    assert.equal(writtenInside(directory, 'result.json'), '{}');
    assert.equal(writtenInside(directory, 'tuned.json'), undefined);
  });

  it('is not read through a link, nor waited for, nor read without end', (t) => {
    const directory = scratchDirectory(t);
    const path = join(directory, 'result.json');
    const huge = () => {
      writeFileSync(path, '');
      truncateSync(path, 2 ** 30);
    };
    for (const [make, problem] of [
      [() => symlinkSync('/etc/hostname', path), 'is a symbolic link'],
      [() => symlinkSync('/no/such/file', path), 'is a symbolic link'],
      [() => spawnSync('mkfifo', [path]), 'is not a regular file'],
      [() => mkdirSync(path), 'is not a regular file'],
      [huge, 'is larger than 67108864 bytes'],
    ] as const) {
      make();
      const message = `result.json, which the emulated machine wrote, ${problem}`;
      assert.throws(() => writtenInside(directory, 'result.json'), { message });
      rmSync(path, { recursive: true });
    }
  });
});

describe('the emulated machine', () => {
  it('has KVM, sees the program, and writes to one directory of the host', () => {
    const words = machineArgv({ memory: '3G' }, '/var/tmp/x', INSIDE);
    assert.ok(words.includes('--nested-kvm'));
    const mounts = words.filter((_, at) => words[at - 1] === '--mount');
    assert.deepEqual(
      mounts.filter((mount) => !mount.endsWith(',ro')),
      ['host-bind:/run/virt-sandbox-bench=/var/tmp/x'],
    );
    assert.equal(mounts.length, 2);
  });

  it('may have another root, which is mounted before all else', () => {
    const words = machineArgv({ memory: '4G', mounts: ['host-image:/=/var/tmp/root.img'] }, '/var/tmp/x', INSIDE);
    const mounts = words.filter((_, at) => words[at - 1] === '--mount');
    assert.deepEqual([mounts.length, mounts[0]], [3, 'host-image:/=/var/tmp/root.img']);
  });

  it('needs as much free memory of the host', () => {
    const meminfo = 'MemTotal:  4000000 kB\nMemAvailable:  2097152 kB\n';
    assert.doesNotThrow(() => checkMemory('2G', meminfo));
    assert.throws(
      () => checkMemory('3G', meminfo),
      /^Error: nested needs 3072 MiB of memory and the host has 2048 MiB/,
    );
    assert.throws(() => checkMemory('much', meminfo), /--memory/);
  });
});
