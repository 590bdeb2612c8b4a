/**
 * Promise: what is written to a root with an overlay does not reach the host, and what is hidden stays hidden below it.
 * The attacker is root inside a machine, with every capability. The victims are files of the host.
 */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { ask } from '../helpers/inside.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import type { RunOptions } from '../helpers/run.js';
import { fingerprint } from '../helpers/tree-listing.js';

/** Not in /tmp, which a sandbox has of its own. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-hostile-overlay-');
const NOBODY = 65_534;

before(() => {
  chmodSync(ground, 0o755);
  for (const name of ['', 'private', 'private/deep']) mkdirSync(join(ground, 'home', name), { recursive: true });
  for (const name of ['victim', 'home/private/key', 'home/private/deep/key', 'home/netrc'])
    writeFileSync(join(ground, name), 'secret\n', { mode: 0o644 });
  for (const name of ['', 'victim', 'home', 'home/private', 'home/private/key', 'home/netrc'])
    chownSync(join(ground, name), NOBODY, NOBODY);
});
after(() => rmSync(ground, { recursive: true, force: true }));

const HIDE = ['--hide', join(ground, 'home/private'), '--hide', join(ground, 'home/netrc')];
/** What the overlay lies over, mounted once more. */
const SHARE =
  'mkdir -p /tmp/9; mount -t virtiofs -o rw sandbox:rootfs /tmp/9 || mount -t 9p -o rw,trans=virtio,version=9p2000.L sandbox:root /tmp/9';

const ATTACKS = {
  share: `${SHARE}; echo broken > /tmp/9${ground}/victim; cat /tmp/9${ground}/home/private/key`,
  layers:
    "grep -c ' /overlay' /proc/mounts; ls -d /overlay /proc/1/root/overlay 2>/dev/null; " +
    'find / -xdev -maxdepth 2 -name upper -o -xdev -maxdepth 2 -name lower 2>/dev/null',
  remount:
    'mount -o remount,rw,lowerdir=/,upperdir=/tmp /; mount -o remount,redirect_dir=follow,metacopy=on / && echo done',
  over:
    'mkdir -p /tmp/u /tmp/m; mount -t tmpfs none /tmp/u; mkdir /tmp/u/upper /tmp/u/work; ' +
    'mount -t overlay -o lowerdir=/,upperdir=/tmp/u/upper,workdir=/tmp/u/work none /tmp/m && ' +
    `echo over > /tmp/m${ground}/victim && cat /tmp/m${ground}/victim ${ground}/victim; cat /tmp/m${ground}/home/private/key`,
  attributes: `python3 -c 'import os
for name in ("trusted.overlay.redirect", "trusted.overlay.opaque", "trusted.overlay.metacopy"):
  os.setxattr("${ground}/victim", name, b"/${ground}/home/private/key")' && cat ${ground}/victim`,
  overlay: `echo mine > ${ground}/victim; rm -r ${ground}/home; cat ${ground}/victim`,
} as const;

const LOOKS = {
  hidden: `cat ${ground}/home/private/key ${ground}/home/private/deep/key; ls -A ${ground}/home/private`,
  netrc: `cat ${ground}/home/netrc`,
  moved: `mv ${ground}/home ${ground}/moved; cat ${ground}/moved/private/key ${ground}/moved/netrc; mv ${ground}/moved ${ground}/home`,
  whiteout: `rm -r ${ground}/home/private; mkdir ${ground}/home/private; ls -A ${ground}/home/private; cat ${ground}/home/private/key`,
} as const;

async function assertKept(uri: string, options: RunOptions = {}): Promise<void> {
  const earlier = fingerprint(ground);
  const found = await ask(['-c', uri, ...ACCEL, '--overlay', '-p', ...HIDE], { ...LOOKS, ...ATTACKS }, options);
  for (const name of Object.keys(LOOKS) as (keyof typeof LOOKS)[]) assert.doesNotMatch(found[name], /secret/, name);
  // Over 9p the kernel gives the share to one mount only, which no path leads to. Over virtiofs it can be mounted again, and
  // the host enforces what it promises.
  assert.match(found.share, /already mounted or mount point busy|Read-only file system/);
  assert.doesNotMatch(found.share, /secret/);
  assert.equal(found.layers, '0');
  assert.equal(found.over.replace(/^cat: .*$/m, '').trim(), 'over\nsecret');
  // It could write, so that it was no want of rights.
  assert.equal(found.overlay, 'mine');
  assert.match(found.attributes, /^(?:secret|mine)$|Operation not (?:supported|permitted)/m);
  assert.equal(fingerprint(ground), earlier);
}

describe('root inside, with an overlay', () => {
  for (const way of [embedded, system])
    it(`reaches no file of the host over ${way.uri}`, { skip: way.skip }, () => assertKept(way.uri));

  describe("of an ordinary user's", { skip: unlessOrdinaryUser() }, () => {
    let user: OrdinaryUser;
    before(async () => {
      user = await OrdinaryUser.create();
    });
    after(() => user?.end());

    it('reaches no file of that user', () => assertKept('qemu:///session', user.options));
  });
});
