/** SELinux labels of states that directories keep. A guest may have made what is labelled: no link is followed. */
import { lstatSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { quote } from '../../config/errors.js';
import { BOUND } from '../../sandbox/devices/overlay-bound.js';
import { Descent } from '../../sandbox/files/tree/descent.js';
import { costOf, MOST_MEMORY, Room } from '../../sandbox/overlay/layer.js';
import { enters } from '../../sandbox/overlay/lower.js';
import { namesIn } from '../../util/names-in.js';
import { serviceError } from '../errors.js';

const ATTRIBUTE = 'security.selinux';
/** Bytes: a page, as the kernel has them. */
const MOST_OF_A_LABEL = 4096;
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

/** The label of a file, which is not followed; undefined: it has none. */
export function labelOf(path: string): string | undefined {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  const lgetxattr = koffi
    .load('libc.so.6')
    .func('intptr_t lgetxattr(const char *path, const char *name, _Out_ uint8_t *value, size_t size)');
  const value = Buffer.alloc(MOST_OF_A_LABEL);
  const size = Number(lgetxattr(path, ATTRIBUTE, value, value.length));
  return size > 0 ? value.toString('utf8', 0, size).replace(/\0$/, '') : undefined;
}

/**
 * Labels the directory of a state with all that is in it, but what bounds it: that is no file of the sandbox. Nothing else
 * changes it meanwhile.
 * @param check called now and then: it throws to end the work
 * @param most units of memory for names of directories that are still to be entered: {@link MOST_MEMORY}
 * @throws {SandboxError} `service-not-labelled`, `service-state-too-large`, and what `check` throws
 */
export async function labelTree(
  directory: string,
  context: string,
  check: () => void = () => {},
  most = MOST_MEMORY,
): Promise<void> {
  const label = fileLabeller(context);
  const room = new Room(most, () => tooLarge(directory));
  const descent = new Descent(directory);
  let count = 0;
  /** Labels what is in the directory that was entered last. @returns the directories */
  const labelAll = async (except?: string) => {
    const directories: Buffer[] = [];
    for (const name of namesIn(descent.fd)) {
      if (name.toString() === except) continue;
      const path = descent.path(name);
      label(path);
      if (lstatSync(path).isDirectory()) {
        room.take(costOf(name));
        directories.push(name);
      }
      count += 1;
      if (count % AT_ONCE !== 0) continue;
      await setImmediate();
      check();
    }
    return directories;
  };
  try {
    for (const ways = [await labelAll(BOUND)]; ways.length > 0; ) {
      const name = ways.at(-1)?.pop();
      if (name === undefined) {
        ways.pop();
        if (ways.length > 0) descent.leave();
        continue;
      }
      room.give(costOf(name));
      if (enters(descent, name)) ways.push(await labelAll());
    }
    // The last one: by its label is seen whether all below has it.
    label(descent.path(Buffer.from('.')));
  } finally {
    descent.close();
  }
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
          : [
              'its file system does not take it',
              'name a directory on another one with --path, or a label that needs none of files: --security dynamic',
            ];
  return serviceError(
    'service-not-labelled',
    `the state of the service cannot have the label ${quote(context)}: ${why} (errno ${errno})`,
    remedy,
  );
}

function tooLarge(directory: string) {
  return serviceError(
    'service-state-too-large',
    `the state in ${quote(directory)} has more directories beside one another than there is room for`,
    'look into it with find, and remove in the service what has made them',
  );
}
