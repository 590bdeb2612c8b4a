/** What a container cannot keep with --overlay=DIR, and where, with the reason. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { besideLxc, embedded, lxc } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { ask, askInside } from '../helpers/inside.js';
import { uniqueName } from '../helpers/leftovers.js';
import { makeRoot, unlessBusybox } from '../helpers/roots.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';
import { fingerprint } from '../helpers/tree-listing.js';

const shelf = mkdtempSync('/var/tmp/virt-sandbox-overlay-kept-');
/** They go with the libvirtd's namespace: other containers of this run may bind what is mounted there. */
const LASTING = `/var/lib/libvirt/${uniqueName()}`;

after(() => rmSync(shelf, { recursive: true, force: true }));

describe('an overlay of a container in a directory', { skip: lxc.skip }, () => {
  it('is full when its file system is, and stays usable', { skip: unlessProgram('mkfs.ext4', 'perl') }, async () => {
    const mounted = `${LASTING}-full`;
    besideLxc('mkdir', '-p', mounted);
    // A tmpfs has idmapped mounts since Linux 6.3 only.
    const image = join(shelf, 'image');
    writeFileSync(image, '');
    truncateSync(image, 3 << 20);
    execFileSync('mkfs.ext4', ['-q', '-O', '^has_journal', image]);
    besideLxc('mount', '-o', 'loop', image, mounted);
    const kept = `--overlay=${mounted}/kept`;
    try {
      const first = await askInside(lxc, [kept], {
        full: 'echo kept > /kept; head -c 4M /dev/zero > /big',
        copy: 'test -s /usr/bin/perl && echo x >> /usr/bin/perl',
      });
      assert.match(first.full, /No space left on device$/);
      assert.match(first.copy, /No space left on device$/);
      const next = await askInside(lxc, [kept], { after: 'rm /big && cat /kept && echo x > /small && cat /small' });
      assert.equal(next.after, 'kept\nx');
    } finally {
      besideLxc('umount', mounted);
    }
  });

  it('is refused on a file system that cannot keep it, with the reason', async () => {
    const mounted = `${LASTING}-overlay`;
    for (const name of ['lower', 'upper', 'work']) mkdirSync(join(shelf, 'stacked', name), { recursive: true });
    besideLxc('mkdir', '-p', mounted);
    const layers = `lowerdir=${shelf}/stacked/lower,upperdir=${shelf}/stacked/upper,workdir=${shelf}/stacked/work`;
    besideLxc('mount', '-t', 'overlay', '-o', layers, 'none', mounted);
    try {
      const result = await runSandbox(['-c', lxc.uri, `--overlay=${mounted}/kept`, '--', 'true'], lxc.options);
      assertFailure(result, /cannot have what is kept for .*: Invalid argument/, /a root and a directory on ext4/);
    } finally {
      besideLxc('umount', mounted);
    }
  });

  it('belongs to the root that it was made over', { skip: unlessBusybox }, async (t) => {
    const root = makeRoot(t, 'dev', 'proc', 'sys', 'var');
    const options = ['-c', lxc.uri, `--overlay=${shelf}/other`];
    const earlier = fingerprint(root);
    const facts = { write: 'busybox rm /bin/sh; echo x > /var/file; busybox ls /bin /var' };
    const found = await ask([...options, '-r', root], facts, { ...lxc.options, shell: ['/bin/busybox', 'sh'] });
    assert.equal(found.write, '/bin:\nbusybox\n\n/var:\nfile');
    assertFailure(
      await runSandbox([...options, '--', 'true'], lxc.options),
      /belongs to the root/,
      new RegExp(`--root ${root}`),
    );
    assert.equal(fingerprint(root), earlier);
  });

  it('is none for a machine, for one with -p, or for programs that mount', async () => {
    const kept = `--overlay=${shelf}/kinds`;
    const run = (...words: string[]) => runSandbox([...words, '--', 'true'], lxc.options);
    assertRun(await run('-c', lxc.uri, kept), 0, '');
    assertFailure(await run('-c', lxc.uri, kept, '-p'), /is that of a container without -p/, /root of this host/);
    assertFailure(await run('-c', lxc.uri, kept, '--userns'), /has no --userns/);
    assertFailure(await run('-c', embedded.uri, ...ACCEL, kept), /and not of a machine/, /run a container/);
    for (const words of [['--shell'], ['--shell', '-S', 'nobody']])
      assertFailure(
        await run('-c', lxc.uri, kept, ...words),
        /has no root shell beside the application/,
        /an earlier one/,
      );
  });

  it('is no image, which the kernel of the host would have to mount', async () => {
    const image = `${shelf}/kept.qcow2`;
    const result = await runSandbox(['-c', lxc.uri, `--overlay=${image}`, '--', 'true'], lxc.options);
    assertFailure(result, /this host's own kernel would have to mount/, /--overlay=DIR/, /qemu:\/\/\/embed/);
    assert.equal(existsSync(image), false);
  });
});
