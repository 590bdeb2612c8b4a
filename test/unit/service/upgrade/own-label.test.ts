/** Services of libvirt-sandbox, which all had one level of SELinux, get categories of their own. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { loadService } from '../../../../src/service/file.js';
import type { ServiceRoots } from '../../../../src/service/paths.js';
import { labelOf, labelTree } from '../../../../src/service/store/label-state.js';
import { upgradeService } from '../../../../src/service/upgrade/upgrade.js';
import { uniqueName } from '../../../helpers/leftovers.js';
import { servicesIn } from '../../../helpers/making-services.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';

const PROCESS = 'system_u:system_r:svirt_lxc_net_t';
const FILES = 'system_u:object_r:svirt_lxc_file_t';

interface Old {
  readonly name: string;
  readonly content: string;
  /** A directory of the host, which the service has under its own name. */
  readonly shared: string;
}

/** @param isOlder as before 0.5: a file beside the directories of the others */
async function oldService(context: TestContext, roots: ServiceRoots, isOlder: boolean): Promise<Old> {
  const name = uniqueName();
  const directory = scratchDirectory(context, WITH_ATTRIBUTES);
  const content = join(directory, 'content', name);
  const shared = join(directory, 'shared', name);
  for (const path of [join(content, 'var/www'), shared]) mkdirSync(path, { recursive: true });
  writeFileSync(join(content, 'var/www/page'), '');
  await labelTree(content, `${FILES}:s0`);
  await labelTree(shared, 'system_u:object_r:httpd_sys_content_t:s0');
  const bind = (index: number, target: string, source: string) =>
    `[mount.${index}]\ntype=GVirSandboxConfigMountHostBind\ntarget=${target}\nsource=${source}\n`;
  const text = [
    '[api]\nclass=GVirSandboxConfigServiceGeneric\nversion=0.6.0\n',
    `[core]\nname=${name}\nuuid=${randomUUID()}\nroot=/\narch=x86_64\nshell=false\n`,
    '[identity]\nuid=0\ngid=0\nusername=root\nhomedir=/root\n',
    bind(0, '/var', join(content, 'var')),
    bind(1, '/mnt', shared),
    `[security]\ndynamic=false\nlabel=${PROCESS}:s0\n`,
    '[command]\nargv.0=/bin/true\n',
  ].join('\n');
  if (!isOlder) mkdirSync(join(roots.services, name, 'config'), { recursive: true, mode: 0o700 });
  writeFileSync(join(roots.services, isOlder ? `${name}.sandbox` : `${name}/config/sandbox.cfg`), text);
  return { name, content, shared };
}

describe('an upgrade of services of libvirt-sandbox', { skip: unlessRoot('sets labels') }, () => {
  it('gives each categories of its own, and its content that level', async (t) => {
    const roots = servicesIn(scratchDirectory(t, WITH_ATTRIBUTES));
    const services = [
      await oldService(t, roots, false),
      await oldService(t, roots, false),
      await oldService(t, roots, true),
    ];
    const levels = new Set<string>();
    for (const { name, content, shared } of services) {
      await upgradeService(roots, name, { isDry: true });
      assert.equal(labelOf(content), `${FILES}:s0`);
      await upgradeService(roots, name);
      const { config } = await loadService(roots, name);
      const [, level = ''] = new RegExp(`^${PROCESS}:(s0:c\\d+,c\\d+)$`).exec(config.security.label ?? '') ?? [];
      assert.equal(config.security.mode, 'static');
      assert.notEqual(level, '', config.security.label);
      levels.add(level);
      for (const path of ['', 'var', 'var/www', 'var/www/page'])
        assert.equal(labelOf(join(content, path)), `${FILES}:${level}`);
      // Others may use it.
      assert.equal(labelOf(shared), 'system_u:object_r:httpd_sys_content_t:s0');
      assert.equal((await upgradeService(roots, name)).file, undefined);
      assert.deepEqual((await loadService(roots, name)).config.security, config.security);
    }
    assert.equal(levels.size, services.length);
  });
});
