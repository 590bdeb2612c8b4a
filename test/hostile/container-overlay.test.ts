/**
 * Promise: a container with an overlay reads of the host what everybody may read, writes to none of it, and takes no
 * more memory than it was given. The attacker is user 0 inside, who owns every file of the overlay, also with user
 * namespaces of its own. The victims are files of the host.
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
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { askInside } from '../helpers/inside.js';
import { unlessBusybox } from '../helpers/roots.js';
import { fingerprint } from '../helpers/tree-listing.js';

const skip = lxc.skip || unlessProgram('python3', 'setfacl');
/** Not in /tmp, which a sandbox has of its own. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-hostile-overlay-');
const NOBODY = 65_534;
const MEMORY = 128;
/** Hidden from sandboxes; two of them are where nobody may enter, by the mode and by an ACL. */
const HELD = ['home/private/key', 'home/netrc', 'home/locked/key', 'home/acl/key'];

before(() => {
  if (skip !== false) return;
  chmodSync(ground, 0o755);
  for (const name of ['closed/deep', 'home/private', 'home/locked', 'home/acl', 'nobodys']) {
    mkdirSync(join(ground, name), { recursive: true });
  }
  for (const name of ['closed/deep/key', 'secret', 'nobodys/key', ...HELD])
    writeFileSync(join(ground, name), 'secret of the host\n', { mode: 0o600 });
  writeFileSync(join(ground, 'victim'), 'of the host\n', { mode: 0o644 });
  // What is hidden, everybody might read.
  for (const name of HELD) chmodSync(join(ground, name), 0o644);
  for (const name of ['closed', 'nobodys', 'home/locked']) chmodSync(join(ground, name), 0o700);
  for (const name of ['nobodys', 'nobodys/key']) chownSync(join(ground, name), NOBODY, NOBODY);
  execFileSync('mknod', ['-m', '666', join(ground, 'null'), 'c', '1', '3']);
  execFileSync('setfacl', ['-m', `u:${NOBODY}:---`, join(ground, 'home/acl')]);
  linkSync(join(ground, 'secret'), join(ground, 'second'));
  symlinkSync('closed/deep/key', join(ground, 'link'));
});
after(() => rmSync(ground, { recursive: true, force: true }));

/** Ways to what only the host's root, or its user nobody, may read. */
const READS = {
  shadow: 'head -c 4 /etc/shadow; cp /etc/shadow /tmp/x && cat /tmp/x',
  owner: `cd ${ground} && chmod 644 secret && cat secret; chown 0:0 secret && cat secret`,
  names: `cd ${ground} && cat second; ln secret third && cat third; mv secret moved && cat moved`,
  write: `cd ${ground} && echo x >> secret; truncate -s 4 secret; cat secret`,
  map: `python3 -c 'import mmap; f = open("${ground}/secret", "r+b"); print(mmap.mmap(f.fileno(), 0)[:6])'`,
  directory: `cd ${ground} && chmod 755 closed && ls -A closed closed/deep; cat closed/deep/key link`,
  renamed: `cd ${ground} && mv closed open; ls -AR open; cat open/deep/key`,
  nobodys: `cd ${ground} && chmod -R 777 nobodys; cat nobodys/key`,
  path: `cat /proc/1/root${ground}/secret /proc/self/root${ground}/secret /proc/$$/cwd${ground}/secret`,
  execute: `/lib64/ld-linux-x86-64.so.2 ${ground}/secret; . ${ground}/secret`,
} as const;

/** Ways below the overlay, and around it. */
const REACHES = {
  layers: 'ls -d /dev/.overlay /overlay /newroot/proc 2>/dev/null; grep -c "/dev/.overlay" /proc/self/mountinfo',
  trusted: `python3 -c 'import os
for name in ("trusted.overlay.redirect", "trusted.overlay.opaque", "trusted.overlay.metacopy"):
  os.setxattr("${ground}/victim", name, b"${ground}/secret")'`,
  user: `python3 -c 'import os
for name in ("user.overlay.redirect", "user.overlay.metacopy"):
  os.setxattr("${ground}/victim", name, b"${ground}/secret")'; cat ${ground}/victim`,
  remount: 'mount -o remount,lowerdir=/ / && echo done; umount -l / && echo done',
  handle: `python3 -c 'import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
handle = ctypes.create_string_buffer(b"\\x80\\0\\0\\0" + b"\\0" * 132)
mount = ctypes.c_int()
libc.name_to_handle_at(-100, b"${ground}/victim", handle, ctypes.byref(mount), 0)
root = os.open("/", os.O_RDONLY)
print(libc.open_by_handle_at(root, handle, 0), os.strerror(ctypes.get_errno()))'`,
  nodes: `mknod ${ground}/disk b 254 0 && echo done; mknod ${ground}/memory c 1 1 && echo done`,
  // Everybody may write to it, and so might root inside, without nodev.
  node: `echo x > ${ground}/null && echo done`,
  setuid: `cp /usr/bin/id ${ground}/id && chmod 6755 ${ground}/id && ${ground}/id -u; grep ' / / ' /proc/self/mountinfo`,
} as const;

/** What is hidden, and has no copy below. */
const HIDDEN = {
  private: `cd ${ground}/home && ls -A private; cat private/key`,
  netrc: `cd ${ground}/home && cat netrc; ln netrc other && cat other; mv netrc other && cat other`,
  locked: `cd ${ground}/home && ls -A locked; chmod 755 locked; cat locked/key`,
  acl: `cd ${ground}/home && ls -A acl; chmod 755 acl; cat acl/key`,
  moved: `cd ${ground} && mv home away; cat away/private/key away/netrc away/locked/key away/acl/key; mv away home`,
  removed: `cd ${ground} && rm -r home; mkdir -p home/private; cat home/private/key home/netrc`,
} as const;

const HIDE = ['private', 'netrc', 'locked/key', 'acl/key'].flatMap((name) => ['--hide', join(ground, 'home', name)]);

describe('user 0 in a container with an overlay', { skip }, () => {
  it('reads what everybody may read, and writes to nothing of the host', async () => {
    const earlier = fingerprint(ground);
    const shadow = readFileSync('/etc/shadow', 'utf8');
    const found = await askInside(lxc, ['--overlay', ...HIDE], {
      ...READS,
      ...REACHES,
      ...HIDDEN,
      // It could write, so that it was no want of rights.
      own: `echo mine > ${ground}/victim; cat ${ground}/victim`,
    });
    for (const [name, answer] of Object.entries(found)) assert.doesNotMatch(answer, /secret of|root:[$*!]/, name);
    for (const name of ['shadow', 'owner', 'write', 'directory', 'renamed', 'nobodys', 'path'] as const)
      assert.match(found[name], /Permission denied/, name);
    assert.equal(found.layers, '0');
    assert.match(found.trusted, /Operation not permitted/);
    assert.doesNotMatch(found.remount, /done/);
    assert.equal(found.handle, '-1 Operation not permitted');
    assert.doesNotMatch(found.nodes, /done/);
    assert.match(found.node, /Permission denied/);
    // The bits are there, and mean nothing.
    assert.match(found.setuid, /^0\n.* rw,nosuid,nodev/);
    assert.equal(found.own, 'mine');
    assert.equal(fingerprint(ground), earlier);
    assert.equal(readFileSync('/etc/shadow', 'utf8'), shadow);
  });

  it('reads no more with user namespaces of its own', { skip: unlessBusybox }, () =>
    // The kernel lets no root without capabilities map itself, and mount(8) lets no other user mount.
    assertKept([], 'unshare --user --mount --keep-caps', 'busybox ', NOBODY),
  );

  it('fills its own memory and not the host’s, with content, names and attributes', async () => {
    const found = await askInside(lxc, ['--overlay', '--memory', `${MEMORY}M`], {
      content:
        'for i in 1 2 3 4 5 6 7 8; do head -c 16M /dev/zero > /fill$i 2>/dev/null || echo full; done; du -sm /fill*',
      rest: 'rm -f /fill*; echo x > /small && cat /small',
      names: `python3 -c 'import os
count = 0
os.mkdir("/many")
try:
  while count < 200000:
    open(f"/many/{count}", "w").close()
    count += 1
except OSError as error: print(error.strerror)
print(count < ${(MEMORY << 20) / 2 / 4096})'`,
    });
    assert.match(found.content, /full/);
    const megabytes = [...found.content.matchAll(/^(\d+)\t/gm)].reduce((sum, [, size]) => sum + Number(size), 0);
    assert.ok(megabytes <= MEMORY / 2 + 8, found.content);
    assert.equal(found.rest, 'x');
    assert.equal(found.names, 'No space left on device\nTrue');
  });
});

/** With every capability in a namespace of its own. */
async function assertKept(args: readonly string[], unshare: string, box: string, uid: number): Promise<void> {
  const earlier = fingerprint(ground);
  const within = (script: string) => `${unshare} sh -c '${script}'`;
  const layers = 'lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w,userxattr';
  const found = await askInside(lxc, ['--overlay', '--userns', ...args, ...HIDE], {
    capable: within(`cat /etc/shadow ${ground}/secret; chmod 666 ${ground}/secret; cat ${ground}/closed/deep/key`),
    uncover: within(
      `${box}umount ${ground}/home/private; ${box}umount -l ${ground}/home/netrc; cat ${ground}/home/private/key`,
    ),
    bound: within(`${box}mount -o bind / /mnt; cat /mnt${ground}/home/private/key /mnt${ground}/home/netrc`),
    recursive: within(
      `${box}mount -o rbind / /mnt && ${box}umount -l /mnt${ground}/home/netrc; cat /mnt${ground}/home/netrc`,
    ),
    over: within(
      `${box}mount -t tmpfs none /mnt; mkdir /mnt/u /mnt/w /mnt/m; ${box}mount -t overlay -o ${layers} none /mnt/m; ` +
        `cat /mnt/m/etc/shadow /mnt/m${ground}/home/private/key /mnt/m${ground}/home/netrc`,
    ),
    plain: within(`id -u; ${box}mount -t tmpfs none /mnt && echo mounted`),
  });
  for (const [name, answer] of Object.entries(found)) assert.doesNotMatch(answer, /secret of|root:[$*!]/, name);
  // It could mount, so that it was no want of rights.
  assert.equal(found.plain, `${uid}\nmounted`);
  assert.match(found.capable, /Permission denied/);
  assert.equal(fingerprint(ground), earlier);
}

describe('a user of the host’s in a container with an overlay', { skip }, () => {
  it('reads what the user may read', async () => {
    const earlier = fingerprint(ground);
    const found = await askInside(lxc, ['--overlay', '-S', 'nobody'], {
      own: `cat ${ground}/nobodys/key`,
      others: `cat ${ground}/secret /etc/shadow; mv ${ground}/secret /tmp/x; rm -f ${ground}/secret; echo x > ${ground}/victim`,
    });
    assert.equal(found.own, 'secret of the host');
    assert.doesNotMatch(found.others, /secret of/);
    assert.equal(found.others.split('\n').filter((line) => /ermission denied|not permitted/.test(line)).length, 5);
    assert.equal(fingerprint(ground), earlier);
  });

  it('reads no more with user namespaces of its own', () =>
    assertKept(['-S', 'nobody'], 'unshare --user --mount --map-root-user', '', 0));
});
