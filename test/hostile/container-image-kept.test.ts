/**
 * Promise: what a container of an OCI image keeps with `--overlay=DIR` leads the next container and its init nowhere, and
 * makes nobody more. The attacker is root in the container before. The victims are files of the host, and the mount
 * points that all containers share.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { perl } from '../helpers/container-calls.js';
import { unlessProgram } from '../helpers/images.js';
import { uniqueName } from '../helpers/leftovers.js';
import { containerGround } from '../helpers/oci/container-ground.js';
import { fileCapabilities, link, OWN, REACH, REFUSED, TRAPS, USR } from '../helpers/oci/container-traps.js';
import { scratchImage, unlessBusyboxImage } from '../helpers/oci/root-images.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';

const skip = lxc.skip || unlessBusyboxImage || unlessProgram('perl', 'getfattr');
const NOBODY = 65_534;

const { shelf, shared, mountShared, options, victims, inside } = containerGround('kept');

describe('an image of a container, in an overlay that is kept', { skip, concurrency: 2 }, () => {
  /** What keeps an overlay of an image in which that has happened. */
  async function left(image: string, script: string): Promise<string> {
    const kept = `--overlay=${join(shelf, uniqueName())}`;
    assert.deepEqual(await inside(image, [kept, ...USR], { left: `${script}; echo left` }), { left: 'left' });
    return kept;
  }

  it('keeps no program that makes anybody more on the host, or in the next container', async (t) => {
    const image = scratchImage(t, TRAPS);
    // setxattr(2)
    const set = perl(
      `my ($path, $name) = ("/bin/mine", "security.capability"); my $value = pack("H*", "${Buffer.from(fileCapabilities(0x8004_05fb), 'latin1').toString('hex')}"); syscall(188, $path, $name, $value, 20, 0)`,
    );
    const kept = await left(image, `cp /su /bin/mine; ${set} >/dev/null; cp /su /bin/root; chmod 6755 /bin/root`);
    const directory = kept.slice('--overlay='.length);
    const upper = join(directory, 'layers/mounts/%2F/upper/bin');
    for (const name of ['mine', 'root']) {
      const run = spawnSync(join(upper, name), ['sh', '-c', 'id'], { uid: NOBODY, gid: NOBODY, encoding: 'utf8' });
      assert.match(String(run.error), /EACCES/);
    }
    assert.match(execFileSync('getfattr', ['-d', '-m', '-', join(upper, 'mine')], { encoding: 'utf8' }), /capability/);
    const status = 'grep -E "^(Uid|CapEff)" /proc/self/status | cut -f2';
    const found = await inside(image, [kept, '--user', 'web'], {
      mine: `/bin/mine sh -c '${status}; ${REACH}' 2>&1`,
      root: `/bin/root sh -c '${status}; ${REACH}' 2>&1`,
    });
    for (const answers of [found.mine, found.root]) {
      const [uid, capabilities, ...refused] = answers.split('\n');
      assert.deepEqual([uid, capabilities, refused.length], ['0', OWN, REFUSED], answers);
    }
  });

  it('has links of its own that are followed, and none that an earlier run has left', async (t) => {
    const image = scratchImage(t, [link('own', 'real'), { name: 'real/', type: '5' }, { name: 'other/', type: '5' }]);
    const earlier = victims();
    const words = (kept: string, target: string) => [
      ...['-c', lxc.uri, '--root', image, kept, ...mountShared, '-m', `ram:${target}=1M`],
      ...['--', 'sh', '-c', 'grep -c tmpfs.*size=1024k /proc/mounts'],
    ];
    assertRun(await runSandbox(words(await left(image, 'true'), '/own/deep'), options), 0, '1\n');
    for (const [script, target, shown] of [
      ['ln -s /srv/shared/dir /new', '/new/x', '/new'],
      ['rm /own; ln -s /srv/shared /own', '/own/dir/x', '/own'],
      ['rmdir /real; ln -s /srv/shared/dir /real', '/own/x', '/real'],
      ['rmdir /other; ln -s real /other', '/other/x', '/other'],
      ['mv /own /real/moved', '/real/moved/x', '/real/moved'],
    ] as const) {
      const result = await runSandbox(words(await left(image, script), target), options);
      assertFailure(result, new RegExp(`over the symbolic link "${shown}"`));
    }
    // Where nothing is mounted it may have what it likes.
    const own = await left(image, 'rm -rf /tmp /run; ln -s real /tmp; ln -s /srv/shared /run');
    assertRun(
      await runSandbox(['-c', lxc.uri, '--root', image, own, ...mountShared, '--', 'readlink', '/tmp'], options),
      0,
      'real\n',
    );
    assert.equal(victims(), earlier);
  });

  it('leads what the init writes nowhere in the next run', async (t) => {
    const image = scratchImage(t);
    const earlier = victims();
    const script =
      'rm -f /etc/hosts /etc/hostname; ln -s /srv/shared/new /etc/hosts; ln -s /srv/shared/victim /etc/hostname; ' +
      'rm -rf /work; ln -s /srv/shared/dir /work';
    const kept = await left(image, script);
    const readOnly = ['-m', `host-bind:/srv/shared=${shared},ro`];
    const found = await inside(
      image,
      [kept, ...mountShared],
      { shared: 'ls /srv/shared' },
      /\/etc\/hosts is that of the image/,
    );
    assert.equal(found.shared, 'dir\nvictim');
    const cwd = await runSandbox(
      ['-c', lxc.uri, '--root', image, kept, ...readOnly, '--cwd', '/work/made', '--', 'true'],
      options,
    );
    assert.equal(cwd.code, 125);
    assert.match(cwd.stderr, /\/work\/made cannot be entered inside/);
    assert.equal(victims(), earlier);
    assert.equal(readFileSync(join(shared, 'victim'), 'utf8'), 'whole\n');
  });
});
