/** The label that a service of an archive has: that of the host it came from, or of this one. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { ImportOptions } from '../../../../src/service/archive/import.js';
import type { AskHost } from '../../../../src/service/confinement.js';
import { loadService } from '../../../../src/service/file.js';
import type { ServiceRoots } from '../../../../src/service/paths.js';
import { labelOf } from '../../../../src/service/store/label-state.js';
import { exported, imported } from '../../../helpers/archiving.js';
import { makeTestService, servicesIn } from '../../../helpers/making-services.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';

const ELSEWHERE = 'system_u:system_r:svirt_kvm_net_t';

/** A host with SELinux. */
const selinux: AskHost = async () => ({
  model: 'selinux',
  process: 'system_u:system_r:svirt_t:s0',
  files: 'system_u:object_r:svirt_image_t:s0',
});

/** A host without. */
const none: AskHost = async () => ({ model: undefined, process: undefined, files: undefined });

interface Found {
  readonly mode: string;
  readonly label: string | undefined;
  readonly filetype: string | undefined;
  /** Of a directory in its state. */
  readonly file: string | undefined;
}

function ground(t: TestContext): [from: ServiceRoots, to: ServiceRoots] {
  const directory = scratchDirectory(t, WITH_ATTRIBUTES);
  const [from = '', to = ''] = ['from', 'to'].map((name) => join(directory, name));
  for (const path of [from, to]) mkdirSync(path);
  return [servicesIn(from), servicesIn(to)];
}

async function archived(roots: ServiceRoots, isLabelled: boolean): Promise<Buffer> {
  const labelled = { sandbox: { security: `static,label=${ELSEWHERE}` }, filetype: 'svirt_lxc_file_t' };
  await makeTestService(roots, 'web', isLabelled ? labelled : {});
  return exported(roots, 'web');
}

async function taken(roots: ServiceRoots, archive: Buffer, options: Partial<ImportOptions>): Promise<Found> {
  await imported(roots, 'web2', archive, options);
  const { config, settings } = await loadService(roots, 'web2');
  const { mode, label } = config.security;
  return { mode, label, filetype: settings.filetype, file: labelOf(join(roots.directories, 'web2/layers')) };
}

/** The label has two categories of its own, and files of that type are on its level. */
function assertLabelled({ mode, label, filetype, file }: Found, process: string, type: string): void {
  assert.deepEqual([mode, filetype], ['static', type]);
  const [own, , level] = /^(.*):(s0:c\d+,c\d+)$/.exec(label ?? '') ?? [];
  assert.equal(own, label);
  assert.equal(label, `${process}:${level}`);
  assert.equal(file, `system_u:object_r:${type}:${level}`);
}

describe('a service of an archive', { skip: unlessRoot('its state is in a directory') }, () => {
  for (const isLabelled of [true, false])
    it(`has the label of this host, if that of the archive is ${isLabelled ? 'not trusted' : 'none'}`, async (t) => {
      const [from, to] = ground(t);
      const archive = await archived(from, isLabelled);
      assertLabelled(await taken(to, archive, { askHost: selinux }), 'system_u:system_r:svirt_t', 'svirt_image_t');
    });

  it('has no label that would keep it from starting on a host without SELinux', async (t) => {
    const [from, to] = ground(t);
    const found = await taken(to, await archived(from, true), { askHost: none });
    assert.deepEqual(found, { mode: 'dynamic', label: undefined, filetype: undefined, file: undefined });
  });

  it('has the label of the archive, with categories of its own, if that is trusted', async (t) => {
    const [from, to] = ground(t);
    const archive = await archived(from, true);
    const before = (await loadService(from, 'web')).config.security.label;
    const found = await taken(to, archive, { isTrusted: true, askHost: selinux });
    assertLabelled(found, ELSEWHERE, 'svirt_lxc_file_t');
    assert.notEqual(found.label, before);
  });

  it('has the label of this host, if it is trusted and has none', async (t) => {
    const [from, to] = ground(t);
    const found = await taken(to, await archived(from, false), { isTrusted: true, askHost: selinux });
    assertLabelled(found, 'system_u:system_r:svirt_t', 'svirt_image_t');
  });
});
