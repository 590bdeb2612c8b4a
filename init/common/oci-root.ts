/**
 * What the root of an OCI image has that another root has not. An image is made for engines that give it some
 * capabilities, a working directory, and the files that name its host.
 */
import type { Guest } from '../../src/protocol/operations.js';
import type { GuestConfig } from './config.js';
import { provideFile } from './provided-file.js';
import { type Step, tolerated } from './step.js';

/**
 * What root has without `privileged`, by the numbers of capabilities(7): CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL,
 * SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, SYS_CHROOT and SETFCAP, as podman has it. MKNOD is not among them: nothing
 * here limits which devices may be opened.
 */
const CAPABILITIES = [0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 31];

export const OCI_CAPABILITIES = CAPABILITIES.reduce((mask, number) => mask | (1n << BigInt(number)), 0n);

/** Makes what an image may lack: its working directory, and a place for temporary files. */
export function ociRootStep({ ociRoot, cwd }: GuestConfig): Step[] {
  if (!ociRoot) return [];
  // What cannot be made, the start of the application says.
  return [
    { name: 'directories', calls: cwd === undefined ? [] : [tolerated({ op: 'mkdir', path: cwd, mode: 0o755 })] },
  ];
}

/**
 * Sets /etc/hosts and /etc/hostname. Call it when everything is mounted.
 * @throws {OperationError} if one cannot be set
 */
export async function setUpHostFiles(guest: Guest, config: GuestConfig): Promise<void> {
  const { hostname } = config;
  const hosts = ['127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback', `127.0.1.1\t${hostname}`, ''];
  await Promise.all([
    provideFile(guest, config, '/etc/hosts', hosts.join('\n')),
    provideFile(guest, config, '/etc/hostname', `${hostname}\n`),
  ]);
}
