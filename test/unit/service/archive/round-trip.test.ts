/** A service that is exported and imported is the same, with other identities. No sandbox is started. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { keptOverlay, makeOverlayDirectory } from '../../../../src/sandbox/devices/overlay-directory.js';
import type { OverlayKind } from '../../../../src/sandbox/devices/overlay-record.js';
import { loadService } from '../../../../src/service/file.js';
import type { ServiceRoots } from '../../../../src/service/paths.js';
import { exported, imported } from '../../../helpers/archiving.js';
import { makeTestService, servicesIn } from '../../../helpers/making-services.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';
import { fillTree, treeText } from '../../../helpers/state-tree.js';

const ID = `${'1'.repeat(32)}\n`;
const TOPMOST = { mode: 0o755, uid: 0, gid: 0 };

interface Ground {
  readonly from: ServiceRoots;
  readonly to: ServiceRoots;
}

function ground(t: TestContext): Ground {
  const directory = scratchDirectory(t, WITH_ATTRIBUTES);
  const [from, to] = ['from', 'to'].map((name) => {
    mkdirSync(join(directory, name));
    return servicesIn(join(directory, name));
  });
  assert.ok(from && to);
  return { from, to };
}

/** A service `web` with all that a state can have. @returns its upper layers */
async function served(roots: ServiceRoots, kind: OverlayKind, publish: readonly string[] = []): Promise<string[]> {
  const connect = kind === 'machine' ? 'qemu:///embed' : 'lxc:///';
  const { config } = await makeTestService(roots, 'web', { connect, sandbox: { publish } });
  const state = join(roots.directories, 'web');
  makeOverlayDirectory(state, { ...config, kind }, TOPMOST);
  const layers = join(state, 'layers');
  const uppers = kind === 'machine' ? ['upper'] : ['mounts/%2F/upper', 'mounts/%2Fvar%20x/upper'];
  for (const upper of uppers) {
    mkdirSync(join(layers, upper), { recursive: true });
    fillTree(join(layers, upper));
  }
  const etc = join(layers, uppers[0] ?? '', 'etc');
  mkdirSync(etc);
  writeFileSync(join(etc, 'machine-id'), ID, { mode: 0o444 });
  return uppers;
}

describe('an archive of a service', { skip: unlessRoot('states in directories are those of root') }, () => {
  for (const kind of ['machine', 'container'] as const)
    it(`has the whole state of a ${kind}`, async (t) => {
      const { from, to } = ground(t);
      const uppers = await served(from, kind);
      const before = uppers.map((upper) => treeText(join(from.directories, 'web/layers', upper)));
      const archive = await exported(from, 'web');
      const { service, changed } = await imported(to, 'web2', archive, { isTrusted: kind === 'container' });
      assert.deepEqual(changed, ['/etc/machine-id']);
      const path = join(to.directories, 'web2');
      assert.equal(keptOverlay(path)?.kind, kind);
      const id = join(path, 'layers', uppers[0] ?? '', 'etc/machine-id');
      assert.equal(readFileSync(id, 'utf8'), `${service.config.uuid?.replaceAll('-', '')}\n`);
      const plain = (text: string | undefined) => text?.replace(/^.*machine-id.*\n|^etc .*\n/gm, '');
      for (const [index, upper] of uppers.entries())
        assert.equal(plain(treeText(join(path, 'layers', upper))), plain(before[index]), upper);
      const source = await loadService(from, 'web');
      assert.notEqual(service.config.uuid, source.config.uuid);
      assert.deepEqual(service.config.command, source.config.command);
      assert.deepEqual((await loadService(to, 'web2')).config, service.config);
      // Nothing has changed where it came from.
      assert.deepEqual(
        before,
        uppers.map((upper) => treeText(join(from.directories, 'web/layers', upper))),
      );
    });

  it('is one that tar lists', async (t) => {
    const { from } = ground(t);
    await served(from, 'machine');
    const input = await exported(from, 'web');
    const names = execFileSync('tar', ['-t'], { input, encoding: 'latin1' }).split('\n');
    assert.deepEqual(names.slice(0, 4), ['service.json', 'sandbox.cfg', 'layers/', 'layers/upper/']);
  });

  it('has names, times, owners, attributes and holes as they are', async (t) => {
    const { from, to } = ground(t);
    const [upper = ''] = await served(from, 'machine');
    const layers = (roots: ServiceRoots) => join(roots.directories, 'web/layers', upper, 'd');
    const long = `${'directory/'.repeat(30)}`;
    execFileSync(
      'sh',
      [
        '-ec',
        `mkdir -p "$1"; touch -d 1960-01-01T00:00:00.5 old; touch -d 2300-01-01 new; touch own attributes
        chown 3000000:4000000 own; chmod 7751 own
        setfattr -n user.a=b% -v 1 attributes; setfacl -m u:1234:r,g:4321:w attributes; setfacl -d -m u:1234:r "$1"
        truncate -s 10000 hole; truncate -s 20G far; echo x >> far
        for file in many "$1/hölen"; do
          for i in $(seq 0 8 800); do echo $i | dd of="$file" bs=4096 seek=$i conv=notrunc status=none; done
        done`,
        'sh',
        long,
      ],
      { cwd: layers(from) },
    );
    await imported(to, 'web', await exported(from, 'web'));
    assert.equal(treeText(layers(to)), treeText(layers(from)));
    const lists = (roots: ServiceRoots) =>
      execFileSync('getfacl', ['-Rn', '.'], { cwd: layers(roots), encoding: 'utf8' });
    assert.equal(lists(to), lists(from));
    execFileSync('diff', ['-r', '--no-dereference', '-x', 'far', layers(from), layers(to)]);
  });

  it('has no state if the service was never started', async (t) => {
    const { from, to } = ground(t);
    await makeTestService(from, 'web');
    const { changed } = await imported(to, 'web', await exported(from, 'web'));
    assert.deepEqual(changed, []);
    assert.equal(keptOverlay(join(to.directories, 'web')), undefined);
  });

  it('keeps its ports, but for those that somebody has', async (t) => {
    const { from, to } = ground(t);
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    t.after(() => server.close());
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    await served(from, 'machine', [`${address.port}:80`, '0:81']);
    const archive = await exported(from, 'web');
    const { service } = await imported(to, 'web', archive);
    const [first, second] = service.config.publish.map(({ hostPort }) => hostPort);
    assert.ok(first !== undefined && first > address.port);
    assert.equal(second, 0);
    const { service: other } = await imported(to, 'web3', archive);
    assert.ok((other.config.publish[0]?.hostPort ?? 0) > first);
  });

  it('is refused for a name that is there', async (t) => {
    const { from, to } = ground(t);
    await served(from, 'machine');
    const archive = await exported(from, 'web');
    await imported(to, 'web', archive);
    await assert.rejects(imported(to, 'web', archive), { code: 'service-exists' });
  });

  it('is none for another user than root, if its state is a directory', async (t) => {
    const { from, to } = ground(t);
    await served(from, 'machine');
    const archive = await exported(from, 'web');
    await assert.rejects(imported({ ...to, scope: 'user' }, 'web', archive), { code: 'service-archive-of-root' });
  });

  it('is not made of a service that runs', async (t) => {
    const { from } = ground(t);
    await served(from, 'machine');
    const running = {
      checkStop: async () => {},
      stop: async () => {},
      run: () => ({}),
      holdStill: async () => assert.fail(),
      [Symbol.asyncDispose]: async () => {},
    };
    const control = { connect: async () => running, start: async () => {} };
    await assert.rejects(exported(from, 'web', control), { code: 'service-running' });
  });

  it('leaves out sockets, however many there are', async (t) => {
    const { from } = ground(t);
    const [upper = ''] = await served(from, 'machine');
    const make = 'import socket, sys\nfor n in range(4000): socket.socket(socket.AF_UNIX).bind("s%d" % n)';
    const cwd = join(from.directories, 'web/layers', upper);
    execFileSync('python3', ['-c', make], { cwd });
    const names = execFileSync('tar', ['-t'], { input: await exported(from, 'web'), encoding: 'latin1' });
    assert.match(names, /layers\/upper\/file/);
    assert.doesNotMatch(names, /layers\/upper\/s\d/);
  });

  it('may be one whose reader fails with a reason of its own', async (t) => {
    const { to } = ground(t);
    const { from } = ground(t);
    await served(from, 'machine');
    const archive = await exported(from, 'web');
    const stream = (async function* () {
      yield archive.subarray(0, archive.length / 2);
      throw Object.assign(new Error('EEXIST: it is there'), { code: 'EEXIST', errno: -17, syscall: 'read' });
    })();
    await assert.rejects(imported(to, 'web', archive, { stream }), { code: 'service-archive-not-readable' });
  });
});
