/**
 * Directories that hold what is being written, and the end of those whose builder died.
 *
 * A workspace's name says who owns it: boot, process namespace, process, and when that process started. Who finds one can
 * tell whether its owner still lives, without a lock that a killed process would have to release.
 */

import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

const PREFIX = '.build-';
/** A workspace from another boot or container cannot be asked about its owner; it is left alone for a day. */
const FOREIGN_AGE = 24 * 60 * 60 * 1000;

/** `BOOT-NAMESPACE`: processes with the same one see each other under the same numbers. */
async function sphere(): Promise<string> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'latin1').catch(() => 'unknown');
  const namespace = await readlink('/proc/self/ns/pid').catch(() => '0');
  return `${boot.trim().replaceAll('-', '').slice(0, 12)}-${namespace.replace(/\D/g, '')}`;
}

/** When a process started, in clock ticks after the boot (field 22 of proc_pid_stat(5)); undefined when it is gone. */
async function startOf(pid: number | 'self'): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
  // The second field is the program's name in parentheses, and may hold anything, even a parenthesis.
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}

/** Makes an empty directory in `store`, runs `use` in it, and removes it, whatever happens, unless `use` moved it. */
export async function withWorkspace<T>(store: string, use: (directory: string) => Promise<T>): Promise<T> {
  const owner = `${await sphere()}-${process.pid}-${(await startOf('self')) ?? '0'}`;
  const directory = join(store, `${PREFIX}${owner}-${randomBytes(4).toString('hex')}`);
  await mkdir(directory, { mode: 0o755 });
  try {
    // The umask may have taken bits that QEMU needs when it runs as another user.
    await chmod(directory, 0o755);
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function isAbandoned(store: string, name: string, ownSphere: string): Promise<boolean> {
  const match = /^\.build-(\w+-\d+)-(\d+)-(\d+)-\w+$/.exec(name);
  const [, itsSphere, pid, start] = match ?? [];
  if (itsSphere !== ownSphere || pid === undefined) {
    const age = await stat(join(store, name)).then(
      (found) => Date.now() - found.mtimeMs,
      () => 0,
    );
    return age > FOREIGN_AGE;
  }
  return (await startOf(Number(pid))) !== start;
}

/** Removes the workspaces in `store` whose owner is gone. What cannot be removed stays: it is only in the way of disk space. */
export async function sweepWorkspaces(store: string): Promise<void> {
  const names = (await readdir(store).catch(() => [])).filter((name) => name.startsWith(PREFIX));
  if (names.length === 0) return;
  const own = await sphere();
  for (const name of names) {
    if (await isAbandoned(store, name, own)) {
      await rm(join(store, name), { recursive: true, force: true }).catch(() => {});
    }
  }
}
