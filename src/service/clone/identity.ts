/**
 * What in a state says who it is, and has to be another in a clone: machine-id(5), the host name, the seed of random
 * numbers, and on request the host keys of sshd. Only files that the service itself has written are changed; the others
 * are the host's, or the image's, for all services.
 */
import { randomBytes } from 'node:crypto';
import type { HostKey } from './host-keys.js';

/** Longer files of these names are none that a service would read so. In bytes. */
export const MOST_BYTES = 65_536;

const MACHINE_ID = /^[0-9a-f]{32}\n?$/;
/** D-Bus has a copy, or a link. */
const MACHINE_IDS: readonly string[] = ['/etc/machine-id', '/var/lib/dbus/machine-id'];
const HOST_NAME = '/etc/hostname';
/** systemd-random-seed(8): two machines with one would begin with the same numbers. */
const SEED = '/var/lib/systemd/random-seed';

/** Regular files that a state has. What is reached by a link counts as not there. */
export interface StateFiles {
  /** Undefined: it has none, or a longer one. */
  read(path: string): Promise<Buffer | undefined>;
  /** Replaces one that is there; it keeps its owner and its mode. */
  replace(path: string, content: string | Buffer): Promise<void>;
}

export interface NewIdentity {
  readonly sourceName: string;
  readonly name: string;
  readonly uuid: string;
  /** Makes keys; undefined: the state keeps its own. */
  readonly hostKey: ((type: string) => Promise<HostKey>) | undefined;
}

/** @returns what was changed, as paths inside */
export async function giveIdentity(
  files: StateFiles,
  { sourceName, name, uuid, hostKey }: NewIdentity,
): Promise<string[]> {
  const changed: string[] = [];
  const change = async (path: string, to: (old: Buffer) => string | Buffer | undefined) => {
    const old = await files.read(path);
    const content = old === undefined ? undefined : to(old);
    if (content === undefined) return;
    await files.replace(path, content);
    changed.push(path);
  };
  // As that of the machine, which systemd takes where there is none. One that is empty is made by the first start.
  const id = `${uuid.replaceAll('-', '').toLowerCase()}\n`;
  for (const path of MACHINE_IDS)
    await change(path, (old) => (MACHINE_ID.test(old.toString('latin1')) ? id : undefined));
  await change(HOST_NAME, (old) => (old.toString('utf8').trim() === sourceName ? `${name}\n` : undefined));
  await change(SEED, (old) => randomBytes(Math.max(old.length, 32)));
  if (hostKey !== undefined) changed.push(...(await newHostKeys(files, hostKey)));
  return changed;
}

/** Of each kind that the state has. */
async function newHostKeys(files: StateFiles, make: (type: string) => Promise<HostKey>): Promise<string[]> {
  const changed: string[] = [];
  for (const type of ['rsa', 'ecdsa', 'ed25519']) {
    const path = `/etc/ssh/ssh_host_${type}_key`;
    if ((await files.read(path)) === undefined) continue;
    const key = await make(type);
    await files.replace(path, key.secret);
    changed.push(path);
    if ((await files.read(`${path}.pub`)) !== undefined) await files.replace(`${path}.pub`, key.shared);
  }
  return changed;
}
