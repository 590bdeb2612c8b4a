/** The directory that a measurement works in: what other users may do to it, and what a killed one leaves. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { makeScratch, makeWritable, removeScratch } from '../../../../src/bench/run/scratch.js';
import { sphere } from '../../../../src/util/sphere.js';
import { unlessRoot } from '../../../helpers/scratch.js';

/** No process has this ID: it is beyond what the kernel gives. */
const DEAD = 4_194_304;
const LONG_AGO = new Date(Date.now() - 2 * 86_400_000);

function scratch(t: TestContext): string {
  const directory = makeScratch();
  t.after(() => removeScratch(directory));
  return directory;
}

it('other users write to a log that QEMU needs, and make nothing', { skip: unlessRoot('takes another user') }, (t) => {
  const directory = scratch(t);
  const log = join(directory, 'qemu.log');
  makeWritable(log);
  const asNobody = (script: string) =>
    spawnSync('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', 'sh', '-c', script, 'sh', directory], {
      stdio: 'ignore',
    }).status;
  assert.equal(asNobody('echo text >"$1/qemu.log"'), 0);
  for (const script of ['mkdir "$1/embed"', 'ln -s /etc "$1/embed"', 'rm -f "$1/qemu.log"', 'ls "$1"'])
    assert.notEqual(asNobody(script), 0, script);
  assert.equal(statSync(log).size, 5);
});

it('a log is empty again for each run', (t) => {
  const log = join(scratch(t), 'qemu.log');
  makeWritable(log);
  writeFileSync(log, 'text');
  makeWritable(log);
  assert.equal(statSync(log).size, 0);
});

it('what a killed measurement left goes with the next one, and nothing else', (t) => {
  const directory = (name: string, age?: Date) => {
    const path = `/var/tmp/virt-sandbox-${name}-test${process.pid}`;
    mkdirSync(join(path, 'embed'), { recursive: true });
    if (age) utimesSync(path, age, age);
    t.after(() => rmSync(path, { recursive: true, force: true }));
    return path;
  };
  const elsewhere = '0123456789ab-1';
  const left = [
    directory(`bench-${DEAD}-${sphere()}`),
    directory(`bench-${DEAD}-${elsewhere}`, LONG_AGO),
    directory(`nested-${DEAD}`, LONG_AGO),
  ];
  const kept = [
    directory(`bench-${process.ppid}-${sphere()}`, LONG_AGO),
    directory(`bench-${DEAD}-0123456789ab-2`),
    directory(`nested-${process.ppid}`, LONG_AGO),
    directory(`nested-${DEAD - 1}`),
    directory('bench-other', LONG_AGO),
  ];
  assert.match(basename(scratch(t)), new RegExp(`^virt-sandbox-bench-${process.pid}-${sphere()}-`));
  assert.deepEqual(left.filter(existsSync), []);
  assert.deepEqual(
    kept.filter((path) => !existsSync(path)),
    [],
  );
});
