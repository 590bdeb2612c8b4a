/** A clone as a whole, of services whose state is in directories. No sandbox is started. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { makeOverlayDirectory } from '../../../../src/sandbox/devices/overlay-directory.js';
import { type CloneOptions, cloneService } from '../../../../src/service/clone/clone.js';
import type { RunningSource, SourceControl } from '../../../../src/service/clone/source.js';
import { editService, readForEdit } from '../../../../src/service/edit.js';
import { serviceError } from '../../../../src/service/errors.js';
import { loadService } from '../../../../src/service/file.js';
import { listServices, serviceNames } from '../../../../src/service/list.js';
import type { ServiceRoots } from '../../../../src/service/paths.js';
import { makeTestService, servicesIn } from '../../../helpers/making-services.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';
import { scratchMount } from '../../../helpers/scratch-mount.js';

const ID = `${'1'.repeat(32)}\n`;
const STOPPED: SourceControl = { connect: async () => undefined, start: async () => assert.fail('it did not run') };
const OPTIONS: CloneOptions = { whenRunning: 'refuse', newHostKeys: false, control: STOPPED };

/** A service `web` that has run, and written its machine ID. */
async function served(t: TestContext, publish: readonly string[] = []): Promise<ServiceRoots> {
  const roots = servicesIn(scratchDirectory(t, WITH_ATTRIBUTES));
  const { config } = await makeTestService(roots, 'web', { sandbox: { publish } });
  const state = join(roots.directories, 'web');
  makeOverlayDirectory(state, config, { mode: 0o755, uid: 0, gid: 0 });
  mkdirSync(join(state, 'layers/upper/etc'));
  writeFileSync(join(state, 'layers/upper/etc/machine-id'), ID, { mode: 0o444 });
  writeFileSync(join(state, 'layers/upper/data'), 'of web');
  return roots;
}

function clone(roots: ServiceRoots, name: string, changes: Partial<CloneOptions> = {}) {
  return cloneService(roots, ['web', name], { ...OPTIONS, ...changes });
}

function own({ directories }: ServiceRoots, name: string, path: string): string {
  return readFileSync(join(directories, name, 'layers/upper', path), 'utf8');
}

/** Nothing is there but the service `web`. */
function assertAlone(roots: ServiceRoots): void {
  const isOther = (name: string) => !['web', '.web.lock', '.ports'].includes(name);
  for (const directory of [roots.services, roots.directories, roots.images])
    assert.deepEqual(readdirSync(directory).filter(isOther), [], directory);
  assert.equal(own(roots, 'web', 'etc/machine-id'), ID);
  assert.equal(own(roots, 'web', 'data'), 'of web');
}

class Running implements RunningSource {
  readonly told: string[] = [];
  onStandstill: () => void = () => {};
  readonly control: SourceControl = {
    connect: async () => this,
    start: async (name, { connect }) => void this.told.push(`start ${name} over ${connect}`),
  };

  checkStop: RunningSource['checkStop'] = async () => {};

  async stop(): Promise<void> {
    this.told.push('stop');
    this.onStandstill();
  }

  run(): ReturnType<RunningSource['run']> {
    return { connect: 'lxc:///' };
  }

  async holdStill(): ReturnType<RunningSource['holdStill']> {
    this.told.push('hold');
    this.onStandstill();
    return { since: performance.now(), release: async () => void this.told.push('release') };
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

describe('cloneService', { skip: unlessRoot('states in directories are those of root') }, () => {
  it('makes a service with the same state and other identities', async (t) => {
    const roots = await served(t);
    const { service, changed } = await clone(roots, 'web2');
    assert.deepEqual(changed, ['/etc/machine-id']);
    assert.equal(own(roots, 'web2', 'data'), 'of web');
    assert.equal(own(roots, 'web2', 'etc/machine-id'), `${service.config.uuid?.replaceAll('-', '')}\n`);
    assert.equal(own(roots, 'web', 'etc/machine-id'), ID);
    const [web, web2] = [await loadService(roots, 'web'), await loadService(roots, 'web2')];
    assert.deepEqual(web2.config, { ...web.config, ...service.config });
    assert.notEqual(web2.config.uuid, web.config.uuid);
    assert.deepEqual(web2.settings, web.settings);
  });

  it('clones one that was never started', async (t) => {
    const roots = servicesIn(scratchDirectory(t, WITH_ATTRIBUTES));
    await makeTestService(roots, 'web');
    await clone(roots, 'web2');
    assert.deepEqual(readdirSync(join(roots.directories, 'web2')), []);
  });

  it('has other ports, of clones that are made at once too', async (t) => {
    const roots = await served(t, ['38080:80', '0:90']);
    await Promise.all(['a', 'b', 'c'].map((name) => clone(roots, name)));
    const all = await listServices(roots);
    const ports = all.map((one) => 'service' in one && one.service.config.publish.map(({ hostPort }) => hostPort));
    assert.deepEqual(new Set(ports.map(String)).size, 4, String(ports));
    assert.ok(ports.every((two) => two && two[1] === 0));
    const { service } = await clone(roots, 'd', { publish: ['38080:81'] });
    assert.deepEqual(
      service.config.publish.map(({ hostPort, guestPort }) => [hostPort, guestPort]),
      [[38_080, 81]],
    );
  });

  it('refuses what is there, what is not, and itself', async (t) => {
    const roots = await served(t);
    await clone(roots, 'web2');
    await assert.rejects(clone(roots, 'web2'), { code: 'service-exists' });
    await assert.rejects(clone(roots, 'web'), { code: 'service-exists' });
    await assert.rejects(cloneService(roots, ['none', 'new'], OPTIONS), { code: 'service-not-found' });
    await assert.rejects(clone(roots, '../web3'), { code: 'service-name-invalid' });
    mkdirSync(join(roots.directories, 'web4'), { mode: 0o700 });
    await assert.rejects(clone(roots, 'web4'), { code: 'service-state-exists' });
    assert.deepEqual(serviceNames(roots), ['web', 'web2']);
    assert.deepEqual(readdirSync(join(roots.directories, 'web4')), []);
  });

  it('lets one of two that want a name have it', async (t) => {
    const roots = await served(t);
    const all = await Promise.allSettled([clone(roots, 'web2'), clone(roots, 'web2'), clone(roots, 'web2')]);
    assert.equal(all.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.ok(all.every((one) => one.status === 'fulfilled' || one.reason.code === 'service-exists'));
    assert.equal(own(roots, 'web2', 'data'), 'of web');
  });

  it('takes locks in one order', async (t) => {
    const roots = await served(t);
    await makeTestService(roots, 'a');
    const both = await Promise.allSettled([
      cloneService(roots, ['a', 'web'], OPTIONS),
      cloneService(roots, ['web', 'a'], OPTIONS),
    ]);
    assert.ok(both.every((one) => one.status === 'rejected' && one.reason.code === 'service-exists'));
  });

  it('refuses the service of a user that would be of the system, and makes nothing', async (t) => {
    const roots = await served(t);
    const file = join(roots.services, 'web/config/sandbox.cfg');
    const text = readFileSync(file, 'utf8');
    for (const uri of ['lxc:///', 'qemu:///system']) {
      writeFileSync(file, text.replace('connect=qemu:///embed', `connect=${uri}`));
      await assert.rejects(clone({ ...roots, scope: 'user' }, 'web2'), {
        code: 'service-on-system-uri',
        remedy: /connect= in \[service\], by virt-sandbox-service edit web$/,
      });
    }
    assertAlone(roots);
  });

  it('refuses a source that runs', async (t) => {
    const roots = await served(t);
    const running = new Running();
    await assert.rejects(clone(roots, 'web2', { control: running.control }), {
      code: 'service-running',
      remedy: /--stop.*--live/,
    });
    assert.deepEqual(running.told, []);
    assertAlone(roots);
  });

  it('stops it and starts it again, or holds it still, whatever fails', async (t) => {
    const roots = await served(t);
    const running = new Running();
    const { control } = running;
    await clone(roots, 'a', { control, whenRunning: 'stop' });
    await clone(roots, 'b', { control, whenRunning: 'live' });
    assert.deepEqual(running.told.splice(0), ['stop', 'start web over lxc:///', 'hold', 'release']);
    running.onStandstill = () => execFileSync('rm', ['-rf', join(roots.directories, 'web/layers/upper')]);
    await assert.rejects(clone(roots, 'c', { control, whenRunning: 'live' }), { code: 'overlay-directory-damaged' });
    assert.deepEqual(running.told.splice(0), ['hold', 'release']);
    // It is seen before anything is stopped.
    await assert.rejects(clone(roots, 'c', { control, whenRunning: 'stop' }), { code: 'overlay-directory-damaged' });
    assert.deepEqual(running.told.splice(0), []);
    mkdirSync(join(roots.directories, 'web/layers/upper'));
    await assert.rejects(clone(roots, 'c', { control, whenRunning: 'stop' }), { code: 'overlay-directory-damaged' });
    assert.deepEqual(running.told.splice(0), ['stop', 'start web over lxc:///']);
    assert.deepEqual(serviceNames(roots), ['a', 'b', 'web']);
  });

  it('takes no other error of a name that is there for one about the place of the state', async (t) => {
    const roots = await served(t);
    const running = new Running();
    running.onStandstill = () => mkdirSync(roots.services);
    await assert.rejects(clone(roots, 'web2', { control: running.control, whenRunning: 'live' }), {
      code: 'service-not-writable',
      message: /EEXIST.*services'$/,
    });
    assertAlone(roots);
  });

  it('says so if the source does not start again', async (t) => {
    const roots = await served(t);
    const { control } = new Running();
    const start = async () => {
      throw new Error('no');
    };
    const { startFailure } = await clone(roots, 'a', { control: { ...control, start }, whenRunning: 'stop' });
    assert.equal(startFailure, 'no');
    assert.deepEqual(serviceNames(roots), ['a', 'web']);
  });

  it('does not stop what would not start again', async (t) => {
    const roots = await served(t);
    const running = new Running();
    running.checkStop = () => Promise.reject(serviceError('service-uri-of-unit', 'no', 'no'));
    const { control } = running;
    await assert.rejects(clone(roots, 'a', { control, whenRunning: 'stop' }), { code: 'service-uri-of-unit' });
    assert.deepEqual(running.told, []);
    assertAlone(roots);
    running.checkStop = async () => {};
    await clone(roots, 'a', { control, whenRunning: 'stop' });
  });

  it('lets others change the source again when its state is copied', async (t) => {
    const roots = await served(t);
    const running = new Running();
    const start = async () => {
      const before = await readForEdit(roots, 'web');
      await editService(roots, 'web', { before, after: `${before}\n` });
      running.told.push('edited');
    };
    await clone(roots, 'a', { control: { ...running.control, start }, whenRunning: 'stop' });
    assert.deepEqual(running.told, ['stop', 'edited']);
  });

  it('leaves nothing where there is no room', async (t) => {
    const roots = await served(t);
    const full = scratchMount(t, ['mkfs.ext4', '-O', '^has_journal'], '8M');
    writeFileSync(join(roots.directories, 'web/layers/upper/large'), Buffer.alloc(16 << 20, 'x'));
    await assert.rejects(clone(roots, 'web2', { path: full }), {
      code: 'service-state-not-copied',
      remedy: /make room/,
    });
    assert.deepEqual(readdirSync(full), ['lost+found']);
    assertAlone(roots);
  });

  it('undoes all when it is cancelled', async (t) => {
    const roots = await served(t);
    for (const after of [0, 1, 5, 20, 50]) {
      const signal = AbortSignal.timeout(after);
      await clone(roots, 'web2', { signal }).then(
        () => execFileSync('rm', ['-r', join(roots.services, 'web2'), join(roots.directories, 'web2')]),
        (error: unknown) => assert.equal((error as { code?: string }).code, 'aborted'),
      );
      execFileSync('rm', ['-f', join(roots.services, '.web2.lock')]);
      assertAlone(roots);
    }
  });
});
