/** Makes host keys for sshd, as ssh-keygen(1) does. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { findInPath } from '../../util/programs.js';
import { serviceError } from '../errors.js';
import { toolMissing } from './errors.js';

export interface HostKey {
  readonly secret: Buffer;
  /** The public part. */
  readonly shared: Buffer;
}

/** @throws {SandboxError} `tool-missing` */
export function checkKeyMaker(): void {
  if (findInPath('ssh-keygen') === undefined) throw toolMissing('ssh-keygen', 'host keys are made', 'openssh-client');
}

/**
 * @param host name of the clone, for the key's comment
 * @param above a directory of the clone, which goes with it: what a process that is killed leaves is secret
 * @throws {SandboxError} `host-key-failed`
 */
export async function makeHostKey(type: string, host: string, above: string): Promise<HostKey> {
  const directory = await mkdtemp(join(above, 'keys-'));
  try {
    const path = join(directory, 'key');
    const { execa } = await import('execa');
    const made = await execa('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', `root@${host}`, '-f', path], {
      reject: false,
      stdin: 'ignore',
    });
    if (made.failed) {
      const { signal, stderr, shortMessage } = made;
      const [why, remedy] =
        signal === undefined
          ? [stderr?.trim() || shortMessage, 'see what ssh-keygen says, or leave out --new-host-keys']
          : [`it was ended by ${signal}`, 'try again'];
      throw serviceError('host-key-failed', `ssh-keygen made no key of the type ${type}: ${why}`, remedy);
    }
    return { secret: await readFile(path), shared: await readFile(`${path}.pub`) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
