/** SELinux labels of states that directories keep. A guest may have made what is labelled: no link is followed. */
import { lstatSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { quote } from '../../config/errors.js';
import { Descent } from '../../sandbox/files/tree/descent.js';
import { enters } from '../../sandbox/overlay/lower.js';
import { serviceError } from '../errors.js';

const ATTRIBUTE = 'security.selinux';
/** Files that are labelled before others have their turn. */
const AT_ONCE = 1000;

/** Labels one file, directory, link or device. @throws {SandboxError} `service-not-labelled` */
export type LabelFile = (path: Buffer) => void;

/** @param context `system_u:object_r:TYPE:LEVEL` */
export function fileLabeller(context: string): LabelFile {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  const lsetxattr = koffi
    .load('libc.so.6')
    .func('int lsetxattr(const uint8_t *path, const char *name, const void *value, size_t size, int flags)');
  // With its end, as the kernel and setfiles write it.
  const value = Buffer.from(`${context}\0`);
  return (path) => {
    if (lsetxattr(Buffer.concat([path, Buffer.alloc(1)]), ATTRIBUTE, value, value.length, 0) === 0) return;
    throw notLabelled(context, koffi.errno());
  };
}

/**
 * Labels a directory with all that is in it. Nothing else changes it meanwhile.
 * @param check called now and then: it throws to end the work
 * @throws {SandboxError} `service-not-labelled`, and what `check` throws
 */
export async function labelTree(directory: string, context: string, check: () => void = () => {}): Promise<void> {
  const label = fileLabeller(context);
  const descent = new Descent(directory);
  try {
    label(descent.path(Buffer.from('.')));
    let count = 0;
    for (const ways = [namesIn(descent)]; ways.length > 0; ) {
      const name = ways.at(-1)?.pop();
      if (name === undefined) {
        ways.pop();
        if (ways.length > 0) descent.leave();
        continue;
      }
      const path = descent.path(name);
      label(path);
      if (lstatSync(path).isDirectory() && enters(descent, name)) ways.push(namesIn(descent));
      count += 1;
      if (count % AT_ONCE !== 0) continue;
      await setImmediate();
      check();
    }
  } finally {
    descent.close();
  }
}

function namesIn(descent: Descent): Buffer[] {
  return readdirSync(`/proc/self/fd/${descent.fd}`, { encoding: 'buffer' });
}

const { EACCES, EDQUOT, EINVAL, ENOSPC } = constants.errno;

function notLabelled(context: string, errno: number) {
  const [why, remedy] =
    errno === EINVAL
      ? ['the policy of this host does not have it', 'name a type of that policy with --filetype']
      : errno === EACCES
        ? ['the policy of this host does not let files have it', 'name a type of files with --filetype']
        : errno === ENOSPC || errno === EDQUOT
          ? ['there is no room for it', 'make room there, or name another directory with --path']
          : ['its file system does not take it', 'name a directory on another one with --path'];
  return serviceError(
    'service-not-labelled',
    `the state of the service cannot have the label ${quote(context)}: ${why} (errno ${errno})`,
    remedy,
  );
}
