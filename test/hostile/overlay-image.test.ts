/**
 * Promise: an image that keeps an overlay shows a sandbox nothing of the host, whoever wrote it. The attackers: a guest
 * that has written to its image, also through a QEMU that it has taken over, and another user of the host who offers one.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { assertNothingLeft, exceptLogs, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertFailure, type RunOptions, runSandbox } from '../helpers/run.js';

const NOBODY = 65_534;
const TOOLS = unlessProgram('qemu-img', 'mke2fs');
const ground = mkdtempSync('/var/tmp/virt-sandbox-hostile-kept-');
const victim = join(ground, 'victim');

before(() => {
  chmodSync(ground, 0o755);
  writeFileSync(victim, 'SECRET of the host\n'.repeat(1000), { mode: 0o600 });
});
after(() => rmSync(ground, { recursive: true, force: true }));

/** A directory of that user's. */
function placeOf(owner: number): string {
  const directory = mkdtempSync(join(ground, 'of-'));
  chownSync(directory, owner, owner);
  return directory;
}

function qemuImg(...args: readonly string[]): void {
  execFileSync('qemu-img', args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Each makes what is at a path, and says how it is refused. */
const OFFERED: Readonly<Record<string, readonly [make: (path: string) => void, pattern: RegExp]>> = {
  'a backing file': [
    (path) => qemuImg('create', '-q', '-f', 'qcow2', '-b', victim, '-F', 'raw', path),
    /has the backing file ".*victim"/,
  ],
  'data elsewhere': [
    (path) => qemuImg('create', '-q', '-f', 'qcow2', '-o', `data_file=${path}.data,data_file_raw=on`, path, '1M'),
    /has the data file ".*\.data"/,
  ],
  'another format': [(path) => writeFileSync(path, 'QFI?'.padEnd(70_000)), /no header of qcow2/],
  'a link': [(path) => symlinkSync(victim, path), /is a symbolic link/],
  'a directory': [(path) => mkdirSync(path), /is no regular file/],
  'a pipe': [(path) => execFileSync('mkfifo', [path]), /is no regular file/],
};

async function assertRefused(uri: string, owner: number, options: RunOptions = {}): Promise<void> {
  const earlier = readFileSync(victim, 'utf8');
  for (const [name, [make, pattern]] of Object.entries(OFFERED)) {
    const path = join(placeOf(owner), 'kept.qcow2');
    make(path);
    if (name !== 'a link') execFileSync('chown', [`${owner}:${owner}`, path]);
    if (name !== 'a directory' && name !== 'a link') chmodSync(path, 0o600);
    const refused = await runSandbox(['-c', uri, ...ACCEL, '-p', `--overlay=${path}`, '--', 'true'], options);
    assert.match(assertFailure(refused, pattern), /^config: /, name);
  }
  assert.equal(readFileSync(victim, 'utf8'), earlier);
  assert.equal(statSync(victim).uid, 0);
}

/** A guest with every capability prepares the image; one without any finds no way to what is in it. */
async function assertClosed(uri: string, owner: number, options: RunOptions = {}): Promise<void> {
  const path = join(placeOf(owner), 'kept.qcow2');
  const on = ['-c', uri, ...ACCEL, `--overlay=${path}`];
  // A table with one partition, in the first sector, of which ext4 makes no use.
  const entry = "printf '\\000\\000\\000\\000\\203\\000\\000\\000\\000\\010\\000\\000\\000\\000\\020\\000\\125\\252'";
  const at = (skip: number, length: number, seek: number) =>
    `${entry} | dd of=/dev/vda bs=1 skip=${skip} count=${length} seek=${seek} conv=notrunc 2>/dev/null`;
  const table = `${at(0, 16, 446)}; ${at(16, 2, 510)}; sync; head -c 512 /dev/vda | tail -c 2 | od -An -tx1`;
  const node = 'mknod -m 666 /open b $(stat -c "0x%t 0x%T" /dev/vd?) && head -c 1 /open >/dev/null && echo made';
  const made = await ask([...on, '-p'], { node, table }, options);
  assert.deepEqual(made, { node: 'made', table: '55 aa' });
  const looks = {
    node: 'head -c 1 /open >/dev/null && echo read',
    image: `head -c 3 ${path}`,
    whole: 'chmod 666 /dev/vda; head -c 1 /dev/vda | wc -c',
    part: 'ls /sys/block/vda | grep vda1; chmod 666 /dev/vda1; head -c 1 /dev/vda1 | wc -c',
  };
  const found = await ask(on, looks, options);
  assert.match(found.node, /Permission denied$/);
  assert.doesNotMatch(found.image, /QFI/);
  for (const seen of [found.whole, found.part]) assert.match(seen, /\b0$/);
  assert.match(found.part, /^vda1\n/);
  for (const directory of [join(path, '..'), ground]) {
    const refused = await runSandbox([...on, '-m', `host-bind:/mnt=${directory}`, '--', 'true'], options);
    assertFailure(refused, / config: the sandbox can write to the image .* by the mount on \/mnt;/);
  }
}

for (const way of [embedded, system]) {
  describe(`an image that root is offered, over ${way.uri}`, { skip: way.skip || TOOLS }, () => {
    it('names no file of the host, and is no other thing', () => assertRefused(way.uri, 0));

    it('shows nothing of itself to a guest without capabilities', () => assertClosed(way.uri, 0));

    it("is nobody else's, nor in a place of somebody else", async () => {
      const make = (path: string) => qemuImg('create', '-q', '-f', 'qcow2', path, '64M');
      const run = (path: string) => runSandbox(['-c', way.uri, ...ACCEL, '-p', `--overlay=${path}`, '--', 'true']);
      const theirs = join(placeOf(0), 'kept.qcow2');
      make(theirs);
      chownSync(theirs, NOBODY, NOBODY);
      assertFailure(await run(theirs), /belongs to user 65534/);
      const open = join(placeOf(0), 'kept.qcow2');
      make(open);
      chmodSync(open, 0o666);
      assertFailure(await run(open), /its mode lets others write/);
      // A second name of root's own file, where somebody else could put another.
      const placed = join(placeOf(NOBODY), 'kept.qcow2');
      const own = join(placeOf(0), 'kept.qcow2');
      make(own);
      chmodSync(own, 0o600);
      linkSync(own, placed);
      assertFailure(await run(placed), /belongs to user 65534/);
      // Nothing is made there either.
      assertFailure(await run(join(placeOf(NOBODY), 'new.qcow2')), /belongs to user 65534/);
    });

    it('has layers of its own, when the guest has put a link in the place of one', async () => {
      const path = join(placeOf(0), 'kept.qcow2');
      const on = ['-c', way.uri, ...ACCEL, '-p', `--overlay=${path}`];
      const swap = 'mkdir /tmp/m && mount /dev/vda /tmp/m && mv /tmp/m/upper /tmp/m/was && ln -s / /tmp/m/upper';
      assert.equal((await ask(on, { swap: `${swap} && echo swapped` })).swap, 'swapped');
      const refused = await runSandbox([...on, '--', 'true']);
      assertFailure(refused, /init: the image of the overlay has .* a broken one: mkdir\(.*: Symbolic link loop/);
    });

    it('breaks no more than itself, when the guest has broken it', async () => {
      const path = join(placeOf(0), 'kept.qcow2');
      const name = uniqueName();
      const args = ['-c', way.uri, ...ACCEL, '-n', name, '-p', `--overlay=${path}`];
      const found = await ask(args, { broken: 'head -c 8M /dev/urandom > /dev/vda && sync && echo broken' });
      assert.equal(found.broken, 'broken');
      const refused = await runSandbox([...args, '--', 'true']);
      assertFailure(refused, /init: the image of the overlay has no ext4 file system, or a broken one/);
      await assertNothingLeft(name, exceptLogs(way.where));
      assert.equal(statSync(path).mode & 0o7777, 0o600);
    });
  });
}

describe('an image that an ordinary user is offered', { skip: unlessOrdinaryUser() || TOOLS }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user?.end());

  for (const uri of ['qemu:///session', embedded.uri]) {
    it(`names no file of that user, over ${uri}`, () => assertRefused(uri, NOBODY, user.options));

    it(`shows nothing of itself to a guest without capabilities, over ${uri}`, () =>
      assertClosed(uri, NOBODY, user.options));
  }
});
