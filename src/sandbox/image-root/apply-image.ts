/** The config of an OCI image, applied to a sandbox: what it runs, as whom, where, and which ports are published. */
import { configError, quote } from '../../config/errors.js';
import { LOOPBACK } from '../../config/parsers/publish.js';
import type {
  EnvironmentVariable,
  Identity,
  ImageRoot,
  Publish,
  SandboxConfig,
  StoredImage,
} from '../../config/types.js';
import { imageCommand } from '../../oci/image-command.js';
import type { ImageConfig } from '../../oci/image-config.js';
import { imageUser, type UserFiles } from '../../oci/image-user.js';
import { option } from '../../util/option-names.js';
import { signalNumber } from '../../util/signal-number.js';

/** Most ports that an image has published: a range of all would take as many of this host. */
const MOST_PORTS = 256;

/** Whether the image's command is run: it must have one, it may have one, or it is not run. */
export type CommandUse = 'needed' | 'optional' | 'none';

/** An image in the store. */
export interface ImageFacts {
  /** What errors call it. */
  readonly name: string;
  readonly config: ImageConfig;
  readonly users: UserFiles;
  readonly stored: Omit<StoredImage, 'stopSignal'>;
}

/**
 * The sandbox that an image and its user describe together. What the user says wins.
 * @returns a sandbox whose root is a mount of the image's file system, under an overlay
 * @throws {SandboxError} `command-missing`, `user-unknown`, `too-many-ports`
 */
export function applyImage(config: SandboxConfig, root: ImageRoot, image: ImageFacts, use: CommandUse): SandboxConfig {
  const { config: its, name, stored } = image;
  return {
    ...config,
    root: {
      ...root,
      stored: { ...stored, stopSignal: its.stopSignal === undefined ? undefined : signalNumber(its.stopSignal) },
    },
    ...mountOfImage(config, stored.path),
    identity: identityOf(config, root, image),
    environment: [...its.environment.map(variable), ...config.environment],
    cwd: config.cwd ?? (its.workingDirectory || '/'),
    command: commandOf(config, root, { its, name }, use),
    publish: [...config.publish, ...(root.publishAll ? exposed(its, config.publish, name) : [])],
  };
}

/** How the file system of an image becomes the root. @param path where it is on the host */
export function mountOfImage(
  { mounts, overlay }: SandboxConfig,
  path: string,
): Required<Pick<SandboxConfig, 'mounts' | 'overlay'>> {
  const mount = { type: 'host-image', target: '/', source: path, format: 'raw', readOnly: true, includes: [] } as const;
  return { mounts: [mount, ...mounts], overlay: overlay ?? { type: 'memory' } };
}

function commandOf(
  { command }: SandboxConfig,
  { entrypoint }: ImageRoot,
  { its, name }: { readonly its: ImageConfig; readonly name: string },
  use: CommandUse,
): readonly string[] {
  if (use === 'none') return [];
  const hasNone = its.entrypoint.length + its.command.length === 0;
  if (use === 'optional' && command.length === 0 && entrypoint === undefined && hasNone) return [];
  return imageCommand(its, { entrypoint, words: command }, name);
}

/** With `privileged` it is root, whatever the image says. */
function identityOf({ privileged }: SandboxConfig, { user }: ImageRoot, { config, users, name }: ImageFacts): Identity {
  const wanted = privileged === true ? '0' : (user ?? config.user);
  const { uid, gid, groups, home, name: called } = imageUser(wanted, users, name);
  return { uid, gid, groups, home: home.startsWith('/') ? home : '/', username: called ?? String(uid) };
}

/** Docker's own reading of one without `=` is an empty value too. */
function variable(text: string): EnvironmentVariable {
  const end = text.indexOf('=');
  return end < 0 ? { key: text, value: '' } : { key: text.slice(0, end), value: text.slice(end + 1) };
}

/**
 * The ports that an image exposes, each as a free one of this host, but those that the user has published.
 * @throws {SandboxError} `too-many-ports`
 */
function exposed({ exposedPorts }: ImageConfig, given: readonly Publish[], name: string): Publish[] {
  const ports = new Map<string, Publish>();
  for (const text of exposedPorts) {
    const [numbers = '', protocol = 'tcp'] = text.toLowerCase().split('/');
    // Nothing carries SCTP into a sandbox.
    if (protocol !== 'tcp' && protocol !== 'udp') continue;
    const [first = 0, last = first] = numbers.split('-').map(Number);
    for (let guestPort = first; guestPort <= last; guestPort += 1) {
      if (given.some((one) => one.guestPort === guestPort && one.protocol === protocol)) continue;
      ports.set(`${guestPort}/${protocol}`, { protocol, address: LOOPBACK, hostPort: 0, guestPort });
      if (ports.size > MOST_PORTS) throw tooManyPorts(name);
    }
  }
  return [...ports.values()];
}

function tooManyPorts(name: string) {
  return configError(
    'too-many-ports',
    `${quote(name)} exposes more than ${MOST_PORTS} ports, which are not all published at once`,
    `publish those that you need, with ${option('publish')}`,
  );
}
