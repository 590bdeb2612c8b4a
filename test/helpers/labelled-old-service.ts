/** Services as libvirt-sandbox has made them, all on one level of SELinux. */
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ServiceRoots } from '../../src/service/paths.js';
import { labelTree } from '../../src/service/store/label-state.js';
import { scratchDirectory, WITH_ATTRIBUTES } from './scratch.js';

export const OLD_PROCESS = 'system_u:system_r:svirt_lxc_net_t';
export const OLD_FILES = 'system_u:object_r:svirt_lxc_file_t';
/** Labels of what others use: a server of this host, and containers of other programs. */
export const SHARED_LABELS = ['httpd_sys_content_t', 'container_file_t', 'svirt_sandbox_file_t', 'virt_image_t'].map(
  (type) => `system_u:object_r:${type}:s0`,
);

export interface OldService {
  readonly name: string;
  readonly content: string;
  /** Directories of the host, which the service has under its own name. */
  readonly shared: readonly string[];
}

/** @param isOlder as before 0.5: a file beside the directories of the others */
export async function makeOldService(
  context: Pick<TestContext, 'after'>,
  roots: ServiceRoots,
  name: string,
  isOlder: boolean,
): Promise<OldService> {
  const directory = scratchDirectory(context, WITH_ATTRIBUTES);
  const content = join(directory, 'content', name);
  const shared = SHARED_LABELS.map((_, index) => join(directory, `shared-${index}`, name));
  for (const path of [join(content, 'var/www'), ...shared]) mkdirSync(path, { recursive: true });
  writeFileSync(join(content, 'var/www/page'), '');
  await labelTree(content, `${OLD_FILES}:s0`);
  for (const [index, path] of shared.entries()) await labelTree(path, SHARED_LABELS[index] ?? '');
  const bind = (index: number, target: string, source: string) =>
    `[mount.${index}]\ntype=GVirSandboxConfigMountHostBind\ntarget=${target}\nsource=${source}\n`;
  const text = [
    '[api]\nclass=GVirSandboxConfigServiceGeneric\nversion=0.6.0\n',
    `[core]\nname=${name}\nuuid=${randomUUID()}\nroot=/\narch=x86_64\nshell=false\n`,
    '[identity]\nuid=0\ngid=0\nusername=root\nhomedir=/root\n',
    bind(0, '/var', join(content, 'var')),
    ...shared.map((path, index) => bind(index + 1, `/mnt/${index}`, path)),
    `[security]\ndynamic=false\nlabel=${OLD_PROCESS}:s0\n`,
    '[command]\nargv.0=/bin/true\n',
  ].join('\n');
  if (!isOlder) mkdirSync(join(roots.services, name, 'config'), { recursive: true, mode: 0o700 });
  writeFileSync(join(roots.services, isOlder ? `${name}.sandbox` : `${name}/config/sandbox.cfg`), text);
  return { name, content, shared };
}
