/** The files of services: those of libvirt-sandbox 0.6, and with the keys of this program. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { formatService, loadService, parseService } from '../../../src/service/file.js';
import { checkServiceName, isServiceName } from '../../../src/service/names.js';
import { type ServiceRoots, serviceRoots } from '../../../src/service/paths.js';
import { DEFAULT_SETTINGS } from '../../../src/service/types.js';
import { SandboxError } from '../../../src/util/errors.js';
import { scratchDirectory } from '../../helpers/scratch.js';

const withCode = (code: string) => (error: unknown) => error instanceof SandboxError && error.code === code;

/** As libvirt-sandbox 0.6 writes that of `create -C -u httpd.service web`. */
const SYSTEMD_06 = `[api]
class=GVirSandboxConfigServiceSystemd
version=0.6.0

[core]
name=web
uuid=2a6cc55a-c7a9-487c-8ab4-db5d85c194fe
root=/
arch=x86_64
shell=true

[identity]
uid=0
gid=0
username=root
homedir=/root

[mount.0]
type=GVirSandboxConfigMountRam
target=/run
usage=10485760

[mount.1]
type=GVirSandboxConfigMountHostBind
target=/etc/httpd
source=/var/lib/libvirt/filesystems/web/etc/httpd

[mount.2]
type=GVirSandboxConfigMountHostBind
target=/var
source=/var/lib/libvirt/filesystems/web/var

[mount.3]
type=GVirSandboxConfigMountHostBind
target=/etc/machine-id
source=/var/lib/libvirt/filesystems/web/etc/machine-id

[network.0]
dhcp=true
source=default
addresses=0
routes=0

[security]
label=system_u:system_r:svirt_lxc_net_t:s0
dynamic=false

[service]
bootTarget=multi-user.target
`;

/** As it writes that of `create -U 500 -G 500 tenant -- /usr/bin/env sleep 10`. */
const GENERIC_06 = `[api]
class=GVirSandboxConfigServiceGeneric
version=0.6.0

[core]
name=tenant
root=/
arch=x86_64
shell=false

[identity]
uid=500
gid=500
username=tenant
homedir=/home/tenant

[mount.0]
type=GVirSandboxConfigMountHostImage
target=/var/lib/libvirt/filesystems/tenant
format=raw
source=/var/lib/libvirt/images/tenant.raw

[security]
label=system_u:system_r:svirt_lxc_net_t:s0:c1,c2
dynamic=false

[command]
argv.0=/usr/bin/env
argv.1=sleep
argv.2=10
`;

describe('a file of libvirt-sandbox 0.6', () => {
  it('of the systemd kind is read', async () => {
    const { config, settings } = await parseService(SYSTEMD_06, 'sandbox.cfg');
    assert.deepEqual(config.service, { type: 'systemd', bootTarget: 'multi-user.target', units: [] });
    assert.deepEqual(settings, DEFAULT_SETTINGS);
    assert.deepEqual(
      [config.mounts.length, config.networks[0]?.source, config.security.mode],
      [3, 'default', 'static'],
    );
    // A systemd has files such as /etc/machine-id of its sandbox.
    assert.ok(config.mounts.every(({ target }) => target !== '/etc/machine-id'));
    assert.equal(config.overlay, undefined);
  });

  it('of the generic kind is read', async () => {
    const { config, settings } = await parseService(GENERIC_06, 'sandbox.cfg');
    assert.deepEqual(config.service, { type: 'generic' });
    assert.deepEqual(config.command, ['/usr/bin/env', 'sleep', '10']);
    assert.deepEqual([config.identity.uid, config.identity.username], [500, 'tenant']);
    assert.deepEqual(settings, DEFAULT_SETTINGS);
  });

  for (const [kind, text] of [
    ['systemd', SYSTEMD_06],
    ['generic', GENERIC_06],
  ] as const)
    it(`of the ${kind} kind stays what it is when it is written again`, async () => {
      const read = await parseService(text, 'sandbox.cfg');
      const again = await parseService(await formatService(read), 'sandbox.cfg');
      assert.deepEqual(
        { ...again, config: { ...again.config, privileged: undefined } },
        {
          ...read,
          config: { ...read.config, privileged: undefined },
        },
      );
      assert.equal(again.config.privileged ?? false, read.config.privileged ?? false);
    });
});

describe('a file with keys of this program', () => {
  it('has all of them again', async () => {
    const { config } = await parseService(GENERIC_06, 'sandbox.cfg');
    const settings = {
      connect: 'lxc:///',
      restart: 'always',
      autostart: true,
      health: 'test -e "/a b" && \\\n true',
      healthInterval: 1500,
      startTimeout: 1000,
      stopTimeout: 2000,
      filetype: 'svirt_lxc_file_t',
      packages: ['nginx', 'nginx-common'],
      copied: ['/etc/ssl/private/a key.pem'],
    } as const;
    const text = await formatService({ config, settings });
    assert.deepEqual((await parseService(text, 'sandbox.cfg')).settings, settings);
  });

  it('of an interactive sandbox is a generic service', async () => {
    const text = GENERIC_06.replace('ServiceGeneric', 'Interactive');
    assert.deepEqual((await parseService(text, 'sandbox.cfg')).config.service, { type: 'generic' });
  });

  for (const [line, pattern] of [
    ['restart=often', /\[service\] of x has "often" for restart/],
    ['autostart=yes', /for autostart/],
    ['starttimeout=0', /for starttimeout/],
    ['copied.1=/a', /copied\.1/],
  ] as const)
    it(`is refused with ${line}`, async () => {
      await assert.rejects(parseService(`${GENERIC_06}\n[service]\n${line}\n`, 'x'), pattern);
    });
});

describe('loadService', () => {
  const rootsIn = (services: string): ServiceRoots => ({ ...serviceRoots(), services });

  it('calls the service as its directory, whatever the file says', async (context) => {
    const services = scratchDirectory(context);
    mkdirSync(join(services, 'other/config'), { recursive: true });
    writeFileSync(join(services, 'other/config/sandbox.cfg'), GENERIC_06);
    const { name, config } = await loadService(rootsIn(services), 'other');
    assert.deepEqual([name, config.name], ['other', 'other']);
  });

  it('says what is not there', async (context) => {
    const roots = rootsIn(scratchDirectory(context));
    await assert.rejects(loadService(roots, 'none'), withCode('service-not-found'));
    await assert.rejects(loadService(roots, '../none'), withCode('service-name-invalid'));
  });
});

describe('names of services', () => {
  for (const name of ['a', 'web1', 'a.b-c_d', '0', '_x', 'x'.repeat(64)])
    it(`can be ${name}`, () => {
      checkServiceName(name);
      assert.ok(isServiceName(name));
    });
  for (const name of ['', '.', '..', '.x', '-x', 'A', 'a/b', 'a b', 'a@b', 'ä', 'a\n', 'x'.repeat(65)])
    it(`cannot be ${JSON.stringify(name)}`, () => {
      assert.throws(() => checkServiceName(name), withCode('service-name-invalid'));
    });
});
