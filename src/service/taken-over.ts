/** What services of libvirt-sandbox have that this program does not make: content that mounts name, and a unit. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { quote } from '../config/errors.js';
import { normalizePath } from '../config/path.js';
import type { Mount } from '../config/types.js';
import { type SandboxError, valueOr } from '../util/errors.js';
import { readPlainFile } from '../util/small-files.js';
import { serviceError } from './errors.js';
import type { Scope } from './paths.js';
import { readMade } from './store/made.js';
import { hostUnitName } from './systemd/unit.js';
import type { Service } from './types.js';

/** Where administrators have units, which hide those of generators: systemd.unit(5). libvirt-sandbox wrote them there. */
const ADMINISTRATORS = '/etc/systemd/system';

/** The program of libvirt-sandbox that its units start. */
const OLD_HELPER = /^ExecStart=\S*virt-sandbox-service-util\s/m;

const MOST_BYTES = 65_536;

/**
 * Where the content of a service is that this program has not made: directories and images that have its name, and are
 * mounted. One that it has made says itself what belongs to it.
 */
export function foreignContent({ name, config, paths }: Service): string[] {
  if (readMade(paths.directory).length > 0) return [];
  const found = config.mounts.flatMap((mount) => contentOf(name, mount));
  return [...new Set(found)].filter((path) => existsSync(path)).sort();
}

/**
 * An image of that name; `PATH/NAME` of a mount of `PATH/NAME/etc/httpd` at `/etc/httpd`, and `PATH/NAME` that is mounted
 * as a whole. Others are directories of the host.
 */
function contentOf(name: string, mount: Mount): string[] {
  if (mount.type === 'host-image') return basename(mount.source).startsWith(`${name}.`) ? [mount.source] : [];
  if (mount.type !== 'host-bind' || mount.source === undefined) return [];
  const source = normalizePath(mount.source);
  const target = normalizePath(mount.target);
  const top = target !== '/' && source.endsWith(target) ? source.slice(0, -target.length) : source;
  return basename(top) === name ? [top] : [];
}

/** The unit of libvirt-sandbox that hides that of this program. Undefined: there is none. */
export function oldUnit(scope: Scope, name: string): string | undefined {
  if (scope !== 'system') return undefined;
  const path = join(ADMINISTRATORS, hostUnitName(name));
  const text = valueOr(() => readPlainFile(path, { most: MOST_BYTES }), undefined);
  return text !== undefined && OLD_HELPER.test(text) ? path : undefined;
}

/** Why systemd does not run a service, and what to do. */
export function hiddenUnit(name: string, path: string): SandboxError {
  return serviceError(
    'service-unit-hidden',
    `${quote(path)} of libvirt-sandbox hides the unit that systemd has for the service ${quote(name)}`,
    removalOf(name, path),
  );
}

/** How to remove that unit. */
export function removalOf(name: string, path: string): string {
  return `remove it: systemctl disable ${hostUnitName(name)}; rm ${path}; systemctl daemon-reload`;
}
