/** What confines a service that names no label, by what its host says. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { DEFAULT_SECURITY } from '../../../src/config/defaults.js';
import type { SandboxConfig } from '../../../src/config/types.js';
import { baseLabelOfCapabilities } from '../../../src/domain/security.js';
import { type AskHost, confinementHere, type LabelFacts, usualConfinement } from '../../../src/service/confinement.js';
import { fileContext, serviceSecurity } from '../../../src/service/label.js';
import { policyContexts } from '../../../src/util/selinux.js';
import { scratchDirectory } from '../../helpers/scratch.js';

const MACHINE: LabelFacts = {
  model: 'selinux',
  process: 'system_u:system_r:svirt_t:s0',
  files: 'system_u:object_r:svirt_image_t:s0',
};
const CONTAINER: LabelFacts = {
  model: 'selinux',
  process: 'system_u:system_r:svirt_lxc_net_t:s0-s0:c0.c1023',
  files: 'system_u:object_r:svirt_lxc_file_t:s0',
};
const DIRECTORY = { security: DEFAULT_SECURITY, overlay: { type: 'directory', path: '/state/web' } } as const;
const IMAGE = { security: DEFAULT_SECURITY, overlay: { type: 'image', path: '/state/web.qcow2' } } as const;

describe('usualConfinement', () => {
  for (const [facts, label, filetype] of [
    [MACHINE, 'system_u:system_r:svirt_t', 'svirt_image_t'],
    [CONTAINER, 'system_u:system_r:svirt_lxc_net_t', 'svirt_lxc_file_t'],
  ] as const)
    it(`is ${label} with categories, and files of ${filetype} on that level, for a directory`, () => {
      const { security, filetype: found } = usualConfinement(DIRECTORY, undefined, facts);
      assert.deepEqual([security, found], [{ mode: 'static', label }, filetype]);
      const own = serviceSecurity(security, 'an-uuid');
      const [, level] = /:(s0:c\d+,c\d+)$/.exec(own.label ?? '') ?? [];
      assert.equal(own.label, `${label}:${level}`);
      assert.equal(fileContext(own, found), `system_u:object_r:${filetype}:${level}`);
    });

  it('has files of the type that is asked for', () => {
    assert.equal(usualConfinement(DIRECTORY, 'httpd_t', MACHINE).filetype, 'httpd_t');
  });

  for (const [what, config, facts] of [
    ['of an image', IMAGE, MACHINE],
    ['of a state in memory', { security: DEFAULT_SECURITY, overlay: undefined }, MACHINE],
    ['without SELinux', DIRECTORY, { model: undefined, process: undefined, files: undefined }],
    ['with AppArmor', DIRECTORY, { ...MACHINE, model: 'apparmor' }],
    ['of a policy that names no files', DIRECTORY, { ...MACHINE, files: undefined }],
    ['of a policy that names no process', DIRECTORY, { ...MACHINE, process: undefined }],
  ] as const)
    it(`is dynamic ${what}`, () => {
      assert.deepEqual(usualConfinement(config, undefined, facts), { security: DEFAULT_SECURITY, filetype: undefined });
    });
});

describe('confinementHere', () => {
  const machine = { acceleration: 'auto', requireKvm: false } as const;

  /** @returns what it is, and the URIs for which the host was asked */
  async function here(config: Pick<SandboxConfig, 'security' | 'overlay'>, connect: string | undefined) {
    const asked: string[] = [];
    const ask: AskHost = async (uri) => {
      asked.push(uri);
      return MACHINE;
    };
    const { security } = await confinementHere({ ...config, ...machine }, { filetype: undefined, connect }, ask);
    return { mode: security.mode, asked };
  }

  it('asks the host for a directory over the URI that it names', async () => {
    const uri = 'qemu:///system';
    assert.deepEqual(await here(DIRECTORY, uri), { mode: 'static', asked: [uri] });
  });

  it('asks nothing, and is dynamic, for an image, and for a directory without a URI', async () => {
    for (const [config, uri] of [
      [IMAGE, 'qemu:///system'],
      [IMAGE, undefined],
      [DIRECTORY, undefined],
      [{ security: DEFAULT_SECURITY, overlay: undefined }, 'qemu:///system'],
    ] as const)
      assert.deepEqual(await here(config, uri), { mode: 'dynamic', asked: [] });
  });
});

describe('policyContexts', () => {
  it("are those of the policy's files, as libvirt reads them", (t) => {
    const directory = scratchDirectory(t);
    const write = (name: string, text: string) => writeFileSync(join(directory, name), text);
    assert.deepEqual(policyContexts('kvm', directory), { process: undefined, files: undefined });
    assert.deepEqual(policyContexts('lxc', directory), { process: undefined, files: undefined });
    write('virtual_domain_context', 'u:r:svirt_t:s0\nu:r:svirt_tcg_t:s0\n');
    write('virtual_image_context', 'u:o:svirt_image_t:s0\nu:o:virt_content_t:s0\n');
    write(
      'lxc_contexts',
      'sandbox_lxc_process = "u:r:other_t:s0"\nprocess = "u:r:c_t:s0"\nro_file = "u:o:ro_t:s0"\nfile = "u:o:c_file_t:s0"\n',
    );
    assert.deepEqual(policyContexts('kvm', directory), { process: 'u:r:svirt_t:s0', files: 'u:o:svirt_image_t:s0' });
    assert.equal(policyContexts('qemu', directory).process, 'u:r:svirt_tcg_t:s0');
    assert.deepEqual(policyContexts('lxc', directory), { process: 'u:r:c_t:s0', files: 'u:o:c_file_t:s0' });
    write('virtual_domain_context', 'u:r:svirt_t:s0\n');
    assert.equal(policyContexts('qemu', directory).process, 'u:r:svirt_t:s0');
  });
});

describe('baseLabelOfCapabilities', () => {
  const model = (name: string, labels: string) =>
    `<secmodel>\n<model>${name}</model>\n<doi>0</doi>\n${labels}</secmodel>`;
  const label = (type: string, text: string) => `<baselabel type='${type}'>${text}</baselabel>\n`;

  it('is that of SELinux for the type', () => {
    const labels = label('kvm', 'u:r:svirt_t:s0') + label('qemu', 'u:r:svirt_tcg_t:s0');
    const xml = model('dac', label('kvm', '+0:+0') + label('qemu', '+0:+0')) + model('selinux', labels);
    assert.equal(baseLabelOfCapabilities(xml, 'kvm'), 'u:r:svirt_t:s0');
    assert.equal(baseLabelOfCapabilities(xml, 'qemu'), 'u:r:svirt_tcg_t:s0');
    assert.equal(baseLabelOfCapabilities(xml, 'lxc'), undefined);
    assert.equal(baseLabelOfCapabilities(model('dac', label('kvm', '+0:+0')), 'kvm'), undefined);
  });
});
