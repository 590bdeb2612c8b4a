/** What libvirt starts as QEMU. */

import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { emulatorDirectory } from '../../../../src/sandbox/devices/emulator.js';
import { reasonAgainstOwnerWall } from '../../../../src/sandbox/devices/qemu-wall.js';
import { hostProgram } from '../../../../src/util/programs.js';
import { unlessProgram } from '../../../helpers/images.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const QEMU = '/usr/bin/qemu-system-x86_64';

/** A directory for caches of this test's own, under a strict umask. */
function useCache(t: TestContext): void {
  const cache = process.env['XDG_CACHE_HOME'];
  const umask = process.umask(0o077);
  process.env['XDG_CACHE_HOME'] = scratchDirectory(t);
  t.after(() => {
    process.umask(umask);
    if (cache === undefined) delete process.env['XDG_CACHE_HOME'];
    else process.env['XDG_CACHE_HOME'] = cache;
  });
}

describe('the directory of a QEMU', { skip: unlessProgram('qemu-system-x86_64') }, () => {
  it("has a copy of the program for root, since QEMU's user cannot enter every directory", (t) => {
    useCache(t);
    const directory = emulatorDirectory(QEMU, true);
    const program = join(directory, 'qemu-wall');
    assert.deepEqual(readFileSync(program), readFileSync(hostProgram('qemu-wall')));
    for (const path of [program, directory, dirname(directory)])
      assert.equal(lstatSync(path).mode & 0o777, 0o755, path);
    assert.equal(readlinkSync(join(directory, 'qemu')), realpathSync(QEMU));
    const { ino } = lstatSync(program);
    assert.equal(emulatorDirectory(QEMU, true), directory);
    assert.equal(lstatSync(program).ino, ino);
    rmSync(program);
    assert.equal(emulatorDirectory(QEMU, true), directory);
    assert.ok(existsSync(program));
    // As a loss of power may leave it.
    truncateSync(program);
    assert.equal(emulatorDirectory(QEMU, true), directory);
    assert.deepEqual(readFileSync(program), readFileSync(hostProgram('qemu-wall')));
  });

  it('is of no use where the user of QEMU may not enter it', { skip: process.geteuid?.() !== 0 }, (t) => {
    useCache(t);
    assert.match(reasonAgainstOwnerWall('embedded') ?? '', /^QEMU's user may not enter \/.*\/qemu\/[0-9a-f]{16}$/);
  });

  it('has its links again where they are lost, and those of a QEMU that is gone are removed', (t) => {
    useCache(t);
    const directory = emulatorDirectory(QEMU, false);
    const linkTo = (name: string) => readlinkSync(join(directory, name));
    const beside = (name: string) => join(directory, '..', name);
    for (const name of ['gone', 'older', '.new-old', '.new-fresh']) mkdirSync(beside(name));
    symlinkSync(beside('none'), beside('gone/qemu'));
    for (const name of ['older', '.new-old']) utimesSync(beside(name), 0, 0);
    utimesSync(directory, 0, 0);
    // A start that finds its links looks for nothing else.
    assert.equal(emulatorDirectory(QEMU, false), directory);
    assert.ok(existsSync(beside('gone')));

    for (const name of ['qemu', 'qemu-wall']) rmSync(join(directory, name));
    symlinkSync('/bin/false', join(directory, 'qemu'));
    assert.equal(emulatorDirectory(QEMU, false), directory);
    assert.equal(linkTo('qemu-wall'), hostProgram('qemu-wall'));
    assert.equal(linkTo('qemu'), realpathSync(QEMU));
    const left = ['gone', 'older', '.new-old', '.new-fresh'].filter((name) => existsSync(beside(name)));
    assert.deepEqual(left, ['.new-fresh']);
  });
});
