/** Options of virt-sandbox-service by their long names, in what show and list print; nothing is started. */
import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { uniqueName } from '../../../helpers/leftovers.js';
import { withImage } from '../../../helpers/oci/registered-image.js';
import { imageIn } from '../../../helpers/oci/registry.js';
import { unlessBusyboxImage } from '../../../helpers/oci/root-images.js';
import { makePackagedRoot } from '../../../helpers/packaged-root.js';
import { REPOSITORY, runSandbox } from '../../../helpers/run.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';
import { type ServiceProgram, serviceProgram } from '../../../helpers/serving.js';
import { writeUnits } from '../../../helpers/systemd-sandbox.js';

const skip = unlessRoot('services of root have states in directories');

/** The lines of a group of its sandbox.cfg; none if it has no such group. */
async function groupOf({ out }: ServiceProgram, name: string, group: string): Promise<string[]> {
  const text = await out('show', name);
  const [, lines = ''] = text.split(`[${group}]\n`);
  return lines.split('\n\n')[0]?.trimEnd().split('\n') ?? [];
}

/** The lines of several groups, by their names. */
async function groupsOf<T extends string>(service: ServiceProgram, names: readonly T[]): Promise<Record<T, string[]>> {
  const found = names.map(async (name) => [name, await groupOf(service, service.name, name)] as const);
  return Object.fromEntries(await Promise.all(found)) as Record<T, string[]>;
}

describe('virt-sandbox-service create, with long options', { skip }, () => {
  for (const [uri, sizes, tuning] of [
    ['lxc:///', [], {}],
    ['qemu:///system', ['--vcpus', '3', '--boot-timeout', '90'], { vcpus: 3, machine: ['boottimeout=90000'] }],
  ] as const)
    it(`writes what they say to the file of a service on ${uri}`, async (context) => {
      const service = serviceProgram(context);
      const root = scratchDirectory(context, WITH_ATTRIBUTES);
      const mounts = ['--mount', 'ram:/mnt/a=16M', '--mount', `host-bind:/mnt/b=${root},ro`];
      const options = ['--network', 'dhcp', '--env', 'A=b', '--env', 'C=d e', '--cpu-shares', '300'];
      const rest = ['--cpu-quota', '25000', '--security', 'static,label=svirt', '--autostart'];
      const given = [...mounts, ...options, ...rest, ...sizes];
      await service.create('--connect', uri, '--root', root, ...given, service.name, '--', '/bin/true');
      const shown = (await service.json('show', service.name)) as Record<string, unknown>;
      assert.deepEqual(
        [shown['connect'], shown['root'], shown['autostart'], shown['vcpus']],
        [uri, root, true, 'vcpus' in tuning ? tuning.vcpus : 1],
      );
      const groups = ['mount.0', 'mount.1', 'env.0', 'env.1', 'network.0', 'security', 'tuning'] as const;
      const found = await groupsOf(service, groups);
      assert.deepEqual(found['mount.0'], ['type=GVirSandboxConfigMountRam', 'target=/mnt/a', `usage=${16 << 20}`]);
      const bind = ['type=GVirSandboxConfigMountHostBind', 'target=/mnt/b', `source=${root}`, 'readonly=true'];
      assert.deepEqual(found['mount.1'], bind);
      assert.deepEqual(
        [found['env.0'], found['env.1']],
        [
          ['key=A', 'value=b'],
          ['key=C', 'value=d e'],
        ],
      );
      assert.equal(found['network.0'][0], 'dhcp=true');
      assert.deepEqual(found.security, ['label=svirt', 'dynamic=false']);
      assert.deepEqual(found.tuning, ['cpushares=300', 'cpuquota=25000']);
      if ('machine' in tuning) {
        const machine = await groupOf(service, service.name, 'machine');
        for (const line of tuning.machine) assert.ok(machine.includes(line), machine.join());
      }
    });

  it('names units and packages', async (context) => {
    const service = serviceProgram(context);
    const root = scratchDirectory(context, WITH_ATTRIBUTES);
    makePackagedRoot(root, [{ name: 'web', files: { '/etc/web.conf': { text: 'web' } } }]);
    const units = {
      'web.service': '[Service]\nExecStart=/bin/true\n',
      'db.service': '[Service]\nExecStart=/bin/true\n',
    };
    writeUnits(join(root, 'usr/lib/systemd/system'), units);
    const named = ['--unitfile', 'web', '--unitfile', 'db.service', '--package', 'web'];
    await service.create('--root', root, ...named, service.name);
    const shown = (await service.json('show', service.name)) as Record<string, unknown>;
    assert.deepEqual(
      [shown['kind'], shown['units'], shown['packages']],
      ['systemd', ['web.service', 'db.service'], ['web']],
    );
  });

  it('says how the image of a root is pulled', { skip: unlessBusyboxImage }, async (context) => {
    const service = serviceProgram(context);
    const authfile = join(service.states, 'auth.json');
    writeFileSync(authfile, '{"auths":{}}');
    const registry = await withImage(context);
    const root = `docker://${imageIn(registry, 'v1')}`;
    context.after(() => runSandbox(['rm', root], { program: join(REPOSITORY, 'bin/virt-sandbox-image') }));
    const rest = ['--platform', 'linux/amd64', '--authfile', authfile, '--tls-verify=false'];
    const pull = (when: string) => ['--root', root, '--pull', when, ...rest];
    const never = [...pull('never'), service.name];
    await service.fails(
      ['create', '--path', service.states, ...never],
      /is not in the store for linux\/amd64; pull it/,
    );
    await service.create(...pull('missing'), `${service.name}-first`);
    const asked = registry.requests.length;
    await service.create(...never);
    assert.deepEqual(registry.requests.slice(asked), []);
    assert.equal(((await service.json('show', service.name)) as { root: unknown }).root, root);
    const group = await groupOf(service, service.name, 'root');
    assert.deepEqual(
      group.map((line) => line.replace(/[0-9a-f]{64}$/, '…')),
      ['pull=never', 'manifest=sha256:…', 'platform=linux/amd64', `authfile=${authfile}`, 'tlsverify=false'],
    );
  });
});

describe('virt-sandbox-service list, with long options', { skip }, () => {
  it('prints JSON, and of those that run none that does not', async (context) => {
    const service = serviceProgram(context);
    await service.create(service.name, '--', 'sleep', '1h');
    const own = async (...options: readonly string[]) =>
      ((await service.json('list', ...options)) as { name: string }[]).filter(({ name }) => name === service.name);
    const shown = (await service.json('show', service.name)) as object;
    assert.deepEqual(await own(), [{ ...shown, state: 'stopped' }]);
    assert.deepEqual(await own('--running'), []);
    const quiet = async (...options: readonly string[]) => (await service.out('list', ...options)).split('\n');
    assert.ok((await quiet('--quiet')).includes(service.name));
    assert.ok(!(await quiet('--quiet', '--running')).includes(service.name));
  });
});

describe('virt-sandbox-service clone, export and import, with long options', { skip }, () => {
  /** A service, and a directory for the state of another one, which is removed before the directory is. */
  async function made(context: TestContext): Promise<[ServiceProgram, other: string, path: string]> {
    const path = scratchDirectory(context, WITH_ATTRIBUTES);
    const service = serviceProgram(context);
    await service.create('--network', 'dhcp', '--env', 'A=b', service.name, '--', 'true');
    return [service, `${service.name}-2`, path];
  }

  it('clones with a network, a label and a place of its own', async (context) => {
    const [service, clone, path] = await made(context);
    const network = ['--network', 'dhcp,source=lab', '--network', 'address=192.0.2.7/24,source=lab'];
    const options = ['--security', 'static,label=svirt', '--path', path];
    await service.out('clone', ...network, ...options, service.name, clone);
    const shown = (await service.json('show', clone)) as { state: unknown };
    assert.deepEqual(shown.state, { type: 'directory', path: join(path, clone) });
    assert.ok(statSync(join(path, clone)).isDirectory());
    const networks = await Promise.all(['network.0', 'network.1'].map((group) => groupOf(service, clone, group)));
    assert.deepEqual(
      networks.map((lines) => lines.filter((line) => /^(?:dhcp|source)=/.test(line))),
      [
        ['dhcp=true', 'source=lab'],
        ['dhcp=false', 'source=lab'],
      ],
    );
    assert.deepEqual(await groupOf(service, clone, 'security'), ['label=svirt', 'dynamic=false']);
    assert.deepEqual(await groupOf(service, clone, 'env.0'), ['key=A', 'value=b']);
    // The service itself is as before.
    assert.deepEqual(await groupOf(service, service.name, 'security'), ['dynamic=true']);
  });

  it('exports to a file, and imports to a place', async (context) => {
    const [service, other, path] = await made(context);
    const archive = join(service.states, `${uniqueName()}.tar`);
    assert.equal(await service.out('export', '--output', archive, service.name), '');
    assert.equal(statSync(archive).mode & 0o777, 0o600);
    await service.out('import', '--trust', '--path', path, archive, other);
    const shown = (await service.json('show', other)) as Record<string, unknown>;
    assert.deepEqual([shown['state'], shown['command']], [{ type: 'directory', path: join(path, other) }, ['true']]);
    assert.ok(statSync(join(path, other)).isDirectory());
  });
});
