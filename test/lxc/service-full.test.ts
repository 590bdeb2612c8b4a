/** A service that is started where there is no room: for its claim, its log, its sandbox or its state. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { besideLxc, lxc } from '../helpers/connections.js';
import { itRunsWithoutRoomForItsLog } from '../helpers/full-log.js';
import { mounted } from '../helpers/hide.js';
import { assertNothingLeft, exceptLogs } from '../helpers/leftovers.js';
import { smallDisk } from '../helpers/lxc-disk.js';
import { removeServices, service } from '../helpers/making-services.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../helpers/scratch.js';
import { LIVES, serviceOf, type TestService } from '../helpers/services.js';

const RUN = '/run/libvirt-sandbox';

/** Of a file system with one inode, which is its directory's, and of one whose blocks are all taken. */
const FULL = {
  inodes: (path: string) => `mkdir -p '${path}'; mount -t tmpfs -o mode=755,nr_inodes=1 none '${path}'`,
  blocks: (path: string) =>
    `mkdir -p '${path}'; mount -t tmpfs -o mode=755,size=8k none '${path}'; head -c 8192 /dev/zero > '${path}/filler'`,
};

async function started(service: TestService, script: string) {
  const through = [...(lxc.options.through ?? []), ...mounted(script)];
  return service.run(['start'], [], { through });
}

async function withService(t: TestContext, options: readonly string[] = []): Promise<TestService> {
  return serviceOf(t, lxc, { options, script: 'echo here; exec sleep 1000', isKept: true });
}

describe('a service in a container that is started on a full disk', { skip: lxc.skip }, () => {
  for (const [what, path, code] of [
    ['its claim', `${RUN}-services`, /free some space there/],
    ['its sandbox', RUN, /free some (?:space|room)|make room/],
    ['its log', LIVES, /make room/],
  ] as const)
    it(`says that there is no room for ${what}, leaves nothing, and starts when there is`, async (t) => {
      const service = await withService(t);
      const scripts = what === 'its log' ? [FULL.inodes(path)] : [FULL.inodes(path), FULL.blocks(path)];
      for (const script of scripts) {
        const { code: status, out, stderr } = await started(service, script);
        assert.deepEqual([status, out], [125, ''], stderr);
        assert.match(stderr, /^virt-sandbox-service: [a-z]+: [^\n]*ENOSPC[^\n]*; [^\n]+\n$/);
        assert.ok(stderr.includes(path), stderr);
        assert.match(stderr, code);
        await assertNothingLeft(service.name, { ...exceptLogs(lxc.where), state: RUN });
      }
      await service.ok(['start']);
      assert.equal(await service.inside('echo well'), 'well\n');
    });

  it('runs without a record and a log of its own, and says so', async (t) => {
    const service = await withService(t);
    const { code, stderr } = await started(service, FULL.blocks(LIVES));
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^[^\n]*warning: what is known of it cannot be recorded: ENOSPC[^\n]*; make room[^\n]*\n$/);
    assert.equal(await service.inside('echo well'), 'well\n');
    await service.ok(['stop']);
    await assertNothingLeft(service.name, { ...exceptLogs(lxc.where), state: RUN });
    await service.ok(['start']);
  });

  it('says that there is no room for its state, and starts with it when there is', async (t) => {
    const { path, fill, makeRoom } = smallDisk(t);
    const service = await withService(t, ['-p', path]);
    fill();
    const said = await service.fails(['start'], /ENOSPC.*; free some space/);
    assert.ok(said.includes(path), said);
    assert.deepEqual(besideLxc('ls', path).split('\n').sort(), ['', 'filler', service.name]);
    await assertNothingLeft(service.name, { ...exceptLogs(lxc.where), state: RUN });
    makeRoom();
    await service.ok(['start']);
    assert.equal(await service.inside('echo kept > /var/kept; cat /var/kept'), 'kept\n');
    fill();
    await service.ok(['restart']);
    assert.equal(await service.inside('cat /var/kept'), 'kept\n');
    await service.ok(['delete']);
  });
});

describe('an archive of a service on a full disk', { skip: lxc.skip }, () => {
  it('is not written, and not unpacked where it would take the last of the disk, unless it is to', async (t) => {
    const { path, fill, makeRoom } = smallDisk(t);
    const source = await withService(t);
    await source.ok(['start']);
    await source.inside('head -c 1003520 /dev/zero | tr "\\0" x > /var/much');
    await source.ok(['stop']);
    const archive = join(scratchDirectory(t, WITH_ATTRIBUTES), 'web.tar');
    fill();
    await source.fails(['export', '-o', `${path}/web.tar`], /cannot be written: ENOSPC.*; make room there/);
    assert.equal(besideLxc('ls', '-A', path), 'filler\n');
    makeRoom();
    await source.ok(['export', '-o', archive]);
    const other = `${source.name}-2`;
    t.after(() => removeServices([other], lxc.options));
    const imports = (...options: string[]) =>
      service(['import', '--trust', '-p', path, ...options, archive, other], lxc.options);
    const refused = await imports();
    assert.equal(refused.code, 125);
    assert.match(
      refused.stderr,
      /takes \d+ bytes: \d+ are free in ".*", and \d+ have to stay free; make room .* --fill\n$/,
    );
    assert.equal(besideLxc('ls', '-A', path), '');
    const filled = await imports('--fill');
    assert.deepEqual([filled.code, filled.stderr], [0, '']);
    assert.equal(besideLxc('ls', '-A', path), `${other}\n`);
  });
});

describe('a service in a container, with its log on a full disk', { skip: lxc.skip }, () => {
  itRunsWithoutRoomForItsLog(lxc);
});
