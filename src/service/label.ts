/** The SELinux labels of services: each its own categories, which keep services of one type apart. */
import { createHash } from 'node:crypto';
import { configError, quote } from '../config/errors.js';
import type { Security } from '../config/types.js';
import { listServices } from './list.js';
import type { ServiceRoots } from './paths.js';

/** Of SELinux's targeted policy: c0 to c1023. */
const CATEGORIES = 1024;

/** A label that has a level without categories, or none: `system_u:system_r:svirt_lxc_net_t:s0`. */
const WITHOUT_CATEGORIES = /^([^:]+:[^:]+:[^:]+)(?::s0)?$/;

/** Two categories, as each service has. */
const OWN_CATEGORIES = /:s0:c\d+,c\d+$/;

/**
 * What a service is confined with. libvirt gives a dynamic label categories of its own at each start; a static one that
 * has none would be that of each service, so it gets two that no other has.
 * @param taken labels of other services
 */
export function serviceSecurity(security: Security, uuid: string, taken: ReadonlySet<string> = new Set()): Security {
  const { mode, label } = security;
  const bare = mode === 'static' && label !== undefined ? WITHOUT_CATEGORIES.exec(label)?.[1] : undefined;
  if (bare === undefined) return security;
  for (let attempt = 0; ; attempt += 1) {
    const level = `:s0:${categoriesOf(`${uuid} ${attempt}`).join(',')}`;
    // There are half a million pairs. A service of another type may be let to the same files.
    if (![...taken].some((one) => one.endsWith(level))) return { mode, label: `${bare}${level}` };
  }
}

/** What a clone is confined with: other categories than its source, if that has two. */
export function clonedSecurity(security: Security, uuid: string, taken?: ReadonlySet<string>): Security {
  const { mode, label } = security;
  const hasOwn = mode === 'static' && label !== undefined && OWN_CATEGORIES.test(label);
  return hasOwn ? serviceSecurity({ mode, label: label.replace(OWN_CATEGORIES, '') }, uuid, taken) : security;
}

/** A label of SELinux, with its level. */
const WITH_LEVEL = /^[^:]+:[^:]+:[^:]+:(s\d[^\s]*)$/;

/**
 * The label of the files of a service's state: of that type, and on the level of the service. Undefined: they have that
 * of the directory which they are in.
 * @throws {SandboxError} `service-filetype-invalid`, `service-filetype-without-label`
 */
export function fileContext({ mode, label }: Security, filetype: string | undefined): string | undefined {
  if (filetype === undefined) return undefined;
  if (!/^[A-Za-z0-9_]+$/.test(filetype))
    throw configError(
      'service-filetype-invalid',
      `${quote(filetype)} cannot be a type of SELinux`,
      'name one, as --filetype svirt_lxc_file_t',
    );
  const level = mode === 'static' ? WITH_LEVEL.exec(label ?? '')?.[1] : undefined;
  if (level !== undefined) return `system_u:object_r:${filetype}:${level}`;
  throw configError(
    'service-filetype-without-label',
    `files of the type ${quote(filetype)} need the level of a service with a label of its own`,
    'give it one: --security static,label=system_u:system_r:svirt_lxc_net_t, or leave out --filetype',
  );
}

/**
 * The labels that services of this user have.
 * @param but a service whose label does not count
 */
export async function labelsOf(roots: ServiceRoots, but?: string): Promise<ReadonlySet<string>> {
  const services = (await listServices(roots)).filter(({ name }) => name !== but);
  return new Set(services.flatMap((one) => ('service' in one ? (one.service.config.security.label ?? []) : [])));
}

/** Two that differ, the lower one first, as SELinux writes them. */
function categoriesOf(text: string): string[] {
  const digest = createHash('sha256').update(text).digest();
  const first = digest.readUInt16BE(0) % CATEGORIES;
  const other = (first + 1 + (digest.readUInt16BE(2) % (CATEGORIES - 1))) % CATEGORIES;
  return [first, other].sort((a, b) => a - b).map((number) => `c${number}`);
}
