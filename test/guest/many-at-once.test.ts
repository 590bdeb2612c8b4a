/** Many of something at once: mounts of one sandbox, sandboxes of one tree, files of one directory. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertRun, runSandbox } from '../helpers/run.js';
import { type UsualSnapshot, usualSnapshot } from '../helpers/usual-snapshot.js';

const MOUNTS = 32;
const SANDBOXES = 20;
const LINES = 25;
const FILES = 100_000;
/** In milliseconds: twenty machines share the processors of this one. */
const LONG = 300_000;

/** A directory outside of /tmp, which a sandbox has of its own. */
function visibleDirectory(t: TestContext): string {
  const directory = mkdtempSync('/var/tmp/virt-sandbox-many-');
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  chmodSync(directory, 0o755);
  return directory;
}

/** Directories with a file each, every second of them read-only, below a ram. */
function manyMounts(directory: string, owner?: { readonly uid: number; readonly gid: number }): string[] {
  const mounts = Array.from({ length: MOUNTS }, (_, at) => {
    const source = join(directory, `share-${at}`);
    mkdirSync(source, { mode: 0o755 });
    writeFileSync(join(source, 'file'), `content ${at}\n`);
    if (owner) chownSync(source, owner.uid, owner.gid);
    return `host-bind:/mnt/${at}=${source}${at % 2 === 0 ? '' : ',ro'}`;
  });
  return ['ram:/mnt=1M', ...mounts].flatMap((mount) => ['-m', mount]);
}

/** Reads every file, and writes where that is allowed. */
const USE_ALL = [
  `at=0; while [ $at -lt ${MOUNTS} ]; do`,
  'cat /mnt/$at/file; { echo inside $at >/mnt/$at/new; } 2>/dev/null || echo refused; at=$((at + 1)); done',
].join(' ');

function expectAll(out: string, directory: string): void {
  const numbers = Array.from({ length: MOUNTS }, (_, at) => at);
  assert.equal(out, numbers.map((at) => `content ${at}\n${at % 2 === 0 ? '' : 'refused\n'}`).join(''));
  for (const at of numbers.filter((at) => at % 2 === 0))
    assert.equal(readFileSync(join(directory, `share-${at}`, 'new'), 'utf8'), `inside ${at}\n`);
}

/** Makes the files, whose names have some length. */
function makeFiles(directory: string): void {
  mkdirSync(directory, { mode: 0o755 });
  for (let at = 0; at < FILES; at += 1) writeFileSync(join(directory, `file-with-a-number-${at}`), '');
}

const LIST = (directory: string) => `cd ${directory} && ls -f | grep -c ^file; ls | sort | cksum`;

describe('many at once', { skip: embedded.skip || unlessProgram('virtiofsd') }, () => {
  let usual: UsualSnapshot;
  before(async () => {
    usual = await usualSnapshot();
  });
  after(() => usual?.remove());

  it(`${MOUNTS} mounts of root's sandbox, each with a server of its own`, async (t) => {
    const [name, directory] = [uniqueName(), visibleDirectory(t)];
    const args = ['-c', embedded.uri, ...ACCEL, '-n', name, ...manyMounts(directory)];
    const result = await runSandbox([...args, '--', 'sh', '-c', USE_ALL], { env: usual.env, timeout: LONG });
    assert.equal(result.code, 0, result.stderr);
    expectAll(result.out, directory);
    await assertNothingLeft(name);
  });

  it(`${MOUNTS} mounts of an ordinary user's sandbox, which QEMU serves`, { skip: unlessOrdinaryUser() }, async () => {
    const [name, user] = [uniqueName(), await OrdinaryUser.create()];
    try {
      const args = ['-c', 'qemu:///session', ...ACCEL, '-n', name, ...manyMounts(user.home, user)];
      const result = await runSandbox([...args, '--', 'sh', '-c', USE_ALL], { ...user.options, timeout: LONG });
      assert.equal(result.code, 0, result.stderr);
      expectAll(result.out, user.home);
      await assertNothingLeft(name, user.where);
    } finally {
      await user.end();
    }
  });

  it(`${SANDBOXES} sandboxes read one tree, and lose nothing of what they append to one file`, async (t) => {
    const directory = visibleDirectory(t);
    const numbers = Array.from({ length: SANDBOXES }, (_, at) => at);
    const script = (at: number) =>
      [
        'cksum </usr/bin/env; ls /usr/bin | cksum',
        `for line in $(seq ${LINES}); do echo ${at} $line >>/mnt/log; echo $line >/mnt/${at}-$line; done`,
        `cat /mnt/${at}-* | sort -n | cksum`,
      ].join('; ');
    const names = numbers.map(uniqueName);
    const results = await Promise.all(
      numbers.map((at) => {
        const args = ['-c', embedded.uri, ...ACCEL, '-n', names[at] ?? '', '-m', `host-bind:/mnt=${directory}`];
        const options = { env: usual.env, timeout: LONG };
        return runSandbox([...args, '--boot-timeout', '240', '--', 'sh', '-c', script(at)], options);
      }),
    );
    for (const { code, out, stderr } of results) assert.deepEqual([code, out], [0, results[0]?.out], stderr);
    const logged = readFileSync(join(directory, 'log'), 'utf8').trimEnd().split('\n').sort();
    const wanted = numbers.flatMap((at) => Array.from({ length: LINES }, (_, line) => `${at} ${line + 1}`));
    assert.deepEqual(logged, wanted.sort());
    for (const at of numbers)
      for (let line = 1; line <= LINES; line += 1)
        assert.equal(readFileSync(join(directory, `${at}-${line}`), 'utf8'), `${line}\n`);
    for (const name of names) await assertNothingLeft(name);
  });

  it(`${FILES} files in one directory of the root, and of a mount`, async (t) => {
    const directory = join(visibleDirectory(t), 'files');
    makeFiles(directory);
    const here = execFileSync('sh', ['-c', LIST(directory)], { encoding: 'utf8' });
    assert.ok(here.startsWith(`${FILES}\n`));
    for (const [mounts, listed] of [
      [[], directory],
      [[`host-bind:/mnt=${directory}`], '/mnt'],
      [[`host-bind:/mnt=${directory},ro`], '/mnt'],
    ] as const) {
      const args = ['-c', embedded.uri, ...ACCEL, ...mounts.flatMap((mount) => ['-m', mount])];
      const options = { env: usual.env, timeout: LONG };
      assertRun(await runSandbox([...args, '--', 'sh', '-c', LIST(listed)], options), 0, here);
    }
  });
});
