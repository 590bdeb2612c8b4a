/** Connects to a hypervisor. */

import { SandboxError } from '../util/errors.js';
import { shortOption } from '../util/option-names.js';
import { shellWord } from '../util/shell-word.js';
import { type Connection, type ConnectionKind, type DaemonKind, URI } from './connection.js';
import { connectDaemon } from './daemon.js';
import { MACHINE_SOCKETS, machineSocket } from './daemon-sockets.js';
import { defaultUri } from './default-uri.js';
import { connectEmbedded, type EmbeddedOptions } from './embedded.js';

const KINDS = new Map((Object.keys(URI) as ConnectionKind[]).map((kind) => [URI[kind], kind]));

export interface ConnectOptions extends EmbeddedOptions {
  /** The URI that the user gave; undefined: see {@link connect}. */
  readonly uri: string | undefined;
  /** Why machines would not start over qemu:///system, in a part of a sentence. It is no default then. */
  readonly againstSystem?: () => string | undefined;
  /** Told which connection was chosen and why, in a sentence. */
  readonly onChoice?: ((sentence: string) => void) | undefined;
}

/**
 * Connects to the first of:
 *
 * 1. `options.uri`;
 * 2. the default URI in libvirt's settings;
 * 3. a daemon that answers: the system daemon for root, if it has a socket and machines start there, the session daemon
 *    for others;
 * 4. the embedded driver.
 *
 * @throws {SandboxError} `uri-not-supported`, `libvirt-unreachable`, `libvirt-silent`, `embedded-driver-missing`,
 *   `root-needed`, and those of {@link defaultUri}
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  if (options.uri !== undefined) return open(kindOf(options.uri), options);
  const configured = defaultUri();
  if (configured !== undefined) {
    const kind = kindOf(configured.uri, configured.origin);
    options.onChoice?.(`libvirt: ${configured.uri}, because of ${configured.origin}`);
    return open(kind, options);
  }

  const kind = usualKind();
  if (kind === undefined) {
    options.onChoice?.(`libvirt: the embedded driver, because there is no ${MACHINE_SOCKETS.join(' and no ')}`);
    return connectEmbedded(options);
  }
  const obstacle = kind === 'system' ? options.againstSystem?.() : undefined;
  if (obstacle !== undefined) {
    options.onChoice?.(`libvirt: the embedded driver, because ${obstacle}`);
    return connectEmbedded(options);
  }
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

/** The daemon to ask if nothing names one; undefined: there is none. libvirt starts that of a session. */
function usualKind(): DaemonKind | undefined {
  if (process.getuid?.() !== 0) return 'session';
  return machineSocket() === undefined ? undefined : 'system';
}

/**
 * The kind of connection that a URI names.
 *
 * @param origin Which setting named it; undefined: the user did.
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
  if (kind === 'lxc') requireRoot();
  return connectDaemon(kind);
}

/** libvirt lets some other users connect too, but only root can open the consoles of containers. */
function requireRoot(): void {
  if (process.geteuid?.() === 0) return;
  throw new SandboxError({
    stage: 'libvirt',
    code: 'root-needed',
    message: 'only root can start containers with lxc:///',
    remedy: `run it as root, or leave out ${shortOption('connect')} for a virtual machine, which needs no root`,
  });
}
