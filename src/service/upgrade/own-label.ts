/** Categories of its own for a service of libvirt-sandbox, which gave all of them the level `s0`. */
import { lstatSync } from 'node:fs';
import type { SandboxConfig } from '../../config/types.js';
import type { Described } from '../file.js';
import { fileContext, labelsOf, serviceSecurity } from '../label.js';
import type { ServiceRoots } from '../paths.js';
import { labelOf, labelTree } from '../store/label-state.js';
import { foreignContent } from '../taken-over.js';
import type { Service } from '../types.js';

/**
 * A label of libvirt's sandboxes on the level of all. Engines for containers label what their containers share with
 * `container_file_t` or its other name `svirt_sandbox_file_t`, on the same level.
 */
const SHARED_CONTENT = /^[^:]+:[^:]+:((?!svirt_sandbox_file_t:)svirt_\w+):s0$/;

/**
 * What a service is to be, with a label that no other one has. It is the same each time that it is asked for, as long as
 * no other service takes it: an upgrade may be killed.
 */
export async function withOwnCategories<T extends Described>(
  roots: ServiceRoots,
  name: string,
  described: T,
): Promise<T> {
  const { config } = described;
  const security = serviceSecurity(config.security, config.uuid ?? name, await labelsOf(roots, name));
  return { ...described, config: { ...config, security } };
}

/**
 * Labels the content of a service for its new label, before its file has that. Directories whose types are not those of
 * libvirt's sandboxes may be those of others, too, and stay as they are.
 * @throws {SandboxError} what `labelTree` throws
 */
export async function labelContent(service: Service, before: SandboxConfig): Promise<void> {
  const { security } = service.config;
  if (security.label === before.security.label) return;
  for (const path of foreignContent(service)) {
    const filetype = SHARED_CONTENT.exec(labelOf(path) ?? '')?.[1];
    const context = lstatSync(path).isDirectory() ? fileContext(security, filetype) : undefined;
    if (context !== undefined) await labelTree(path, context);
  }
}
