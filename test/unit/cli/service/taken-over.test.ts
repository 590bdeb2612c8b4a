/** What libvirt-sandbox has left of its services beside their files; nothing is started. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';
import { type ServiceProgram, serviceProgram } from '../../../helpers/serving.js';

const UNITS = '/etc/systemd/system';

/** As libvirt-sandbox 0.6 writes it. */
const unitOf = (name: string) => `[Unit]
Description=Secure Sandbox Container ${name}
Requires=libvirtd.service
After=libvirtd.service

[Service]
Type=simple
ExecStart=/usr/libexec/virt-sandbox-service-util -c lxc:/// -s ${name}
ExecStop=/usr/bin/virsh -c lxc:/// destroy ${name}

[Install]
WantedBy=multi-user.target
`;

function writeUnit(context: TestContext, { name }: ServiceProgram, text: string): string {
  const path = join(UNITS, `${name}_sandbox.service`);
  mkdirSync(UNITS, { recursive: true });
  writeFileSync(path, text);
  context.after(() => rmSync(path));
  return path;
}

function writeFile({ name, roots }: ServiceProgram, mounts: string): void {
  const config = join(roots.services, name, 'config');
  mkdirSync(config, { recursive: true });
  const core = `[core]\nname=${name}\nroot=/nowhere\n`;
  writeFileSync(
    join(config, 'sandbox.cfg'),
    `[api]\nclass=GVirSandboxConfigServiceGeneric\nversion=0.6.0\n${core}${mounts}[command]\nargv.0=/bin/true\n`,
  );
}

const bind = (index: number, target: string, source: string) =>
  `[mount.${index}]\ntype=GVirSandboxConfigMountHostBind\ntarget=${target}\nsource=${source}\n`;

describe('a unit of libvirt-sandbox', { skip: unlessRoot('writes to /etc') }, () => {
  it('is told of by list, start, upgrade and delete, with what to do', async (context) => {
    const service = serviceProgram(context);
    const { name } = service;
    writeFile(service, '');
    const path = writeUnit(context, service, unitOf(name));
    const hides = `"${path}" of libvirt-sandbox hides the unit that systemd has for the service "${name}"`;
    const remedy = `remove it: systemctl disable ${name}_sandbox.service; rm ${path}; systemctl daemon-reload`;
    const warning = `virt-sandbox-service: warning: ${hides}; ${remedy}\n`;
    assert.ok((await service.run(['list'])).stderr.includes(warning));
    const started = await service.run(['start', name]);
    assert.equal(started.code, 125);
    // Where systemd runs, it has the unit, and nothing is started.
    assert.ok(started.stderr.includes(`${hides}; ${remedy}\n`), started.stderr);
    const upgraded = await service.run(['upgrade', name]);
    assert.deepEqual([upgraded.code, upgraded.stderr.endsWith(warning)], [0, true], upgraded.stderr);
    const deleted = await service.run(['delete', name]);
    assert.equal(
      deleted.stderr,
      `virt-sandbox-service: ${name} is removed, but its unit of libvirt-sandbox stays; remove it: systemctl disable ${name}_sandbox.service; rm ${path}; systemctl daemon-reload\n`,
    );
    assert.ok(existsSync(path));
  });

  it('is none of it if it runs this program, or another one', async (context) => {
    const service = serviceProgram(context);
    writeFile(service, '');
    writeUnit(context, service, unitOf(service.name).replace('virt-sandbox-service-util', 'virt-sandbox-service'));
    const { stderr } = await service.run(['list']);
    assert.ok(!stderr.includes(service.name), stderr);
    assert.equal((await service.run(['delete', service.name])).stderr, '');
  });
});

describe('virt-sandbox-service delete of a service of libvirt-sandbox', { skip: unlessRoot('root has them') }, () => {
  it('says where its content is, and nothing of other directories', async (context) => {
    const service = serviceProgram(context);
    const { name } = service;
    const above = scratchDirectory(context);
    const [content, image, other] = [name, `${name}.raw`, 'other'].map((each) => join(above, each));
    for (const path of [`${content}/etc/web`, `${content}/var`, `${other}`]) mkdirSync(path, { recursive: true });
    writeFileSync(image ?? '', '');
    const mounts = [
      bind(0, '/etc/web', `${content}/etc/web`),
      bind(1, '/var', `${content}/var`),
      bind(2, '/srv', other ?? ''),
      bind(3, '/opt', `${above}/gone/${name}/opt`),
      `[mount.4]\ntype=GVirSandboxConfigMountHostImage\ntarget=/mnt\nformat=raw\nsource=${image}\n`,
    ];
    writeFile(service, mounts.join(''));
    const { code, stderr } = await service.run(['delete', name]);
    const line = (path = '') => `virt-sandbox-service: ${name} is removed, but its content stays in ${path}\n`;
    assert.deepEqual([code, stderr], [0, `${line(content)}${line(image)}`]);
    assert.ok(existsSync(`${content}/var`));
  });
});
