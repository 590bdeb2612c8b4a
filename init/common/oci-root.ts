/**
 * What the root of an OCI image has that another root has not. An image is made for engines that give it some
 * capabilities, a working directory, and the files that name its host.
 */
import { posix } from 'node:path';
import { type Guest, OperationError } from '../../src/protocol/operations.js';
import type { GuestConfig } from './config.js';
import { isWithin, mountOver, provideFile, rewriteFile } from './provided-file.js';
import { type Step, tolerated } from './step.js';

/**
 * What root has without `privileged`, by the numbers of capabilities(7): CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL,
 * SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, SYS_CHROOT and SETFCAP, as podman has it. MKNOD is not among them: nothing
 * here limits which devices may be opened.
 */
const CAPABILITIES = [0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 31];

export const OCI_CAPABILITIES = CAPABILITIES.reduce((mask, number) => mask | (1n << BigInt(number)), 0n);

/**
 * Makes the working directory, which an image may lack. It comes before the mounts, so that no link of the image leads
 * the init into a directory of the host.
 */
export function ociRootStep({ ociRoot, madeDirectory }: GuestConfig): Step[] {
  if (!ociRoot) return [];
  // What cannot be made, the start of the application says.
  const calls = madeDirectory === undefined ? [] : [tolerated({ op: 'mkdir', path: madeDirectory, mode: 0o755 })];
  return [{ name: 'directories', calls }];
}

/**
 * Sets /etc/hosts and /etc/hostname, unless a mount of the config has put something there. Call it when everything is
 * mounted, or behind the calls that mount it.
 * @returns sentences on what could not be set: an image may have anything there
 */
export async function setUpHostFiles(guest: Guest, config: GuestConfig): Promise<string[]> {
  const lacks = await Promise.all(hostFiles(config).map((file) => setUpOrSay(guest, config, file)));
  return lacks.flat();
}

/**
 * The same for a guest that has them by another name. What could not be set then cannot be set now.
 * @param config with the new name
 */
export async function renewHostFiles(guest: Guest, config: GuestConfig): Promise<void> {
  const renewing = hostFiles(config).map(async (file) => {
    if (!(await rewriteFile(guest, file.path, file.text))) await setUpOrSay(guest, config, file);
  });
  await Promise.all(renewing);
}

interface HostFile {
  readonly path: string;
  readonly text: string;
}

/** Those that no mount of the config has. */
function hostFiles({ hostname, mounts }: GuestConfig): HostFile[] {
  const hosts = ['127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback', `127.0.1.1\t${hostname}`, ''];
  const files = [
    { path: '/etc/hosts', text: hosts.join('\n') },
    { path: '/etc/hostname', text: `${hostname}\n` },
  ];
  return files.filter(({ path }) => !mounts.some(({ target }) => isWithin(path, posix.resolve('/', target))));
}

async function setUpOrSay(guest: Guest, config: GuestConfig, { path, text }: HostFile): Promise<string[]> {
  // A call that fails must not keep the guest from those behind it.
  const tolerant: Guest = { call: (operation, options) => guest.call(operation, { ...options, tolerate: true }) };
  try {
    const missing = await setUpHostFile(tolerant, config, path, text);
    return missing === undefined ? [] : [`${path} is that of the image, which leads to ${missing}`];
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    return [`${path} is that of the image: ${error.message}`];
  }
}

/**
 * In one round trip, unless a mount of the config may be there, or a link that leads nowhere is.
 * @returns as {@link provideFile}
 */
async function setUpHostFile(
  guest: Guest,
  config: GuestConfig,
  path: string,
  text: string,
): Promise<string | undefined> {
  if (config.mounts.length === 0 && (await mountOver(guest, path, text))) return undefined;
  return provideFile(guest, config, path, text);
}
