/** From a sandbox to what the common init and the domain are told of it. */
import type { GuestConfig, GuestMount, TerminalSize } from '../../init/common/config.js';
import type { Mount, SandboxConfig } from '../config/types.js';
import type { Share } from '../domain/machine.js';

export const ROOT_TAG = 'sandbox:root';

/** The terminal that the application is to have. */
export interface Terminal extends TerminalSize {
  /** TERM */
  readonly type: string;
}

export function guestConfig(config: SandboxConfig, name: string, terminal: Terminal | undefined): GuestConfig {
  return {
    hostname: hostnameOf(name),
    root: { type: '9p', tag: ROOT_TAG },
    mounts: config.mounts.map(guestMount),
    identity: config.identity,
    privileged: config.privileged,
    environment: config.environment,
    cwd: config.cwd,
    command: config.command,
    terminal: config.tty ? (terminal ?? { rows: 24, columns: 80, type: 'linux' }) : undefined,
  };
}

/** The directories of the host that the machine is given: the root read-only, by the host itself. */
export function sharesOf(config: SandboxConfig): Share[] {
  // Only a QEMU that is root could give files away, so others squash.
  const access = process.getuid?.() === 0 ? 'passthrough' : 'squash';
  const root: Share = { tag: ROOT_TAG, directory: config.root, readOnly: true, access: 'squash' };
  const binds = config.mounts.flatMap((mount, index): Share[] =>
    mount.type === 'host-bind' && mount.source !== undefined
      ? [{ tag: mountTag(index), directory: mount.source, readOnly: mount.readOnly, access }]
      : [],
  );
  return [root, ...binds];
}

function guestMount(mount: Mount, index: number): GuestMount {
  switch (mount.type) {
    case 'host-bind':
      return { type: '9p', tag: mountTag(index), target: mount.target, readOnly: mount.readOnly };
    case 'ram':
      return { type: 'ram', target: mount.target, bytes: mount.usage };
    case 'guest-bind':
      return { type: 'bind', source: mount.source, target: mount.target };
    case 'host-image':
      throw new Error(`${mount.target}: refuseUnsupported() lets no image pass`);
  }
}

function mountTag(index: number): string {
  return `sandbox:mount${index}`;
}

/** A name as a host may have it: gethostname(7) allows letters, digits and hyphens, 63 of them. */
function hostnameOf(name: string): string {
  const legal = name.replace(/[^A-Za-z0-9-]+/g, '-').replace(/^-+|-+$/g, '');
  return legal.slice(0, 63) || 'sandbox';
}
