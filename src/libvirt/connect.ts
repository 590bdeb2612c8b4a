/** Which way to the hypervisor is taken. */
import { SandboxError } from '../errors.js';
import { type Connection, type ConnectionKind, URI } from './connection.js';
import { connectEmbedded, type EmbeddedOptions } from './embedded.js';

const KINDS = new Map((Object.keys(URI) as ConnectionKind[]).map((kind) => [URI[kind], kind]));

export interface ConnectOptions extends EmbeddedOptions {
  /** What the person asked for; undefined: LIBVIRT_DEFAULT_URI, else whatever is there. */
  readonly uri: string | undefined;
  /** Told why, in a sentence. */
  readonly onChoice?: (sentence: string) => void;
}

/**
 * Opens the way that was asked for. Without a wish: a daemon that answers (system for root, session for others), else the embedded driver.
 * @throws {SandboxError} `uri-not-supported`, `libvirt-missing`, `libvirt-unreachable`, `libvirt-silent`, `embedded-driver-missing`, `root-needed`
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const wish = options.uri ?? nonEmpty(process.env['LIBVIRT_DEFAULT_URI']);
  if (wish !== undefined) return open(kindOf(wish), options);

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
 * @throws {SandboxError} `uri-not-supported`
 */
export function kindOf(uri: string): ConnectionKind {
  const kind = KINDS.get(uri);
  if (kind) return kind;
  throw new SandboxError({
    stage: 'libvirt',
    code: 'uri-not-supported',
    message: `the URI ${uri} is not supported`,
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

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
