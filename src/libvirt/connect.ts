/** Which way to the hypervisor is taken. */

import { SandboxError } from '../util/errors.js';
import { shellWord } from '../util/shell-word.js';
import { type Connection, type ConnectionKind, URI } from './connection.js';
import { defaultUri } from './default-uri.js';
import { connectEmbedded, type EmbeddedOptions } from './embedded.js';

const KINDS = new Map((Object.keys(URI) as ConnectionKind[]).map((kind) => [URI[kind], kind]));

export interface ConnectOptions extends EmbeddedOptions {
  /** What the person asked for; undefined: libvirt's default, else whatever is there. */
  readonly uri: string | undefined;
  /** Told why, in a sentence. */
  readonly onChoice?: (sentence: string) => void;
}

/**
 * Opens the way that was asked for, here or in libvirt's settings. Without a wish: a daemon that answers (system for root, session for others),
 * else the embedded driver.
 * @throws {SandboxError} `uri-not-supported`, `libvirt-missing`, `libvirt-unreachable`, `libvirt-silent`, `embedded-driver-missing`, `root-needed`,
 *   and those of {@link defaultUri}
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  if (options.uri !== undefined) return open(kindOf(options.uri), options);
  const wish = defaultUri();
  if (wish !== undefined) {
    const wanted = kindOf(wish.uri, wish.origin);
    options.onChoice?.(`libvirt: ${wish.uri}, because of ${wish.origin}`);
    return open(wanted, options);
  }

  const kind = process.getuid?.() === 0 ? 'system' : 'session';
  try {
    const connection = await open(kind, options);
    options.onChoice?.(`libvirt: ${connection.uri}, because a daemon answers there`);
    return connection;
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
    options.onChoice?.(`libvirt: the embedded driver, because no daemon answers (${error.message})`);
    return connectEmbedded(options);
  }
}

/**
 * @param origin what named it, unless that was the person
 * @throws {SandboxError} `uri-not-supported`
 */
export function kindOf(uri: string, origin?: string): ConnectionKind {
  const kind = KINDS.get(uri);
  if (kind) return kind;
  throw new SandboxError({
    stage: 'libvirt',
    code: 'uri-not-supported',
    message: `the URI ${shellWord(uri)}${origin === undefined ? '' : ` (${origin})`} is not supported`,
    remedy: `use one of ${Object.values(URI).join(', ')}`,
  });
}

async function open(kind: ConnectionKind, options: EmbeddedOptions): Promise<Connection> {
  if (kind === 'embedded') return connectEmbedded(options);
  if (kind === 'lxc') refuseOrdinaryUser();
  const { connectDaemon } = await import('./daemon.js');
  return connectDaemon(kind);
}

/** libvirt would let some other users in too, but the consoles of its containers belong to root. */
function refuseOrdinaryUser(): void {
  if (process.geteuid?.() === 0) return;
  throw new SandboxError({
    stage: 'libvirt',
    code: 'root-needed',
    message: 'only root can start containers with lxc:///',
    remedy: 'run it as root, or leave out -c for a virtual machine, which needs no root',
  });
}
