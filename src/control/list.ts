/** Which sandboxes run. */
import { closeSync } from 'node:fs';
import { homesOfUsers } from '../config/identity.js';
import { findAll, findAllOf, type RunningSandbox } from '../sandbox/state/running.js';
import { isSystemError } from '../util/errors.js';
import { openState } from './connect.js';
import { RecordError, readRecord, type SandboxRecord } from './record.js';

export interface ListedSandbox {
  /** What `connectSandbox` takes: `NAME`, or `USER/NAME` for one of another user. */
  readonly called: string;
  readonly name: string;
  readonly stateDirectory: string;
  /** Undefined: it is starting, or a program holds it that serves nobody. */
  readonly record: SandboxRecord | undefined;
}

export interface ListOptions {
  /** For root: those of all users in /etc/passwd too. Others have their own in any case. */
  readonly all?: boolean | undefined;
}

/** The running sandboxes of this user, by name. */
export async function runningSandboxes(options: ListOptions = {}): Promise<ListedSandbox[]> {
  const own = findAll().map((running) => listed(running, running.name));
  const isRoot = process.getuid?.() === 0;
  const users = options.all && isRoot ? homesOfUsers().filter(({ uid }) => uid !== 0) : [];
  const others = users.flatMap((user) =>
    findAllOf(user).map((running) => listed(running, `${user.name}/${running.name}`)),
  );
  return [...own, ...others].sort((a, b) => (a.called < b.called ? -1 : 1));
}

function listed(running: RunningSandbox, called: string): ListedSandbox {
  const { name, stateDirectory } = running;
  return { called, name, stateDirectory, record: recordOf(running) };
}

function recordOf(running: RunningSandbox): SandboxRecord | undefined {
  let fd: number | undefined;
  try {
    fd = openState(running);
    return readRecord(`/proc/self/fd/${fd}`, running.name, running.user?.uid);
  } catch (error) {
    if (error instanceof RecordError || isSystemError(error)) return undefined;
    throw error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
