/** Which sandboxes run. */
import { closeSync } from 'node:fs';
import { homesOfUsers } from '../config/identity.js';
import { poolHolders } from '../sandbox/state/pools.js';
import { findAll, findAllOf, type RunningSandbox } from '../sandbox/state/running.js';
import { ownerText } from '../sandbox/state/state-directory.js';
import { isSystemError } from '../util/errors.js';
import { openState } from './open-state.js';
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

/** The running sandboxes of this user, by name. Those that wait in a pool of the shell are not among them. */
export async function runningSandboxes(options: ListOptions = {}): Promise<ListedSandbox[]> {
  const own = listed(findAll(), (name) => name, poolHolders());
  const isRoot = process.getuid?.() === 0;
  const users = options.all && isRoot ? homesOfUsers().filter(({ uid }) => uid !== 0) : [];
  const others = users.flatMap((user) => listed(findAllOf(user), (name) => `${user.name}/${name}`, poolHolders(user)));
  return [...own, ...others].sort((a, b) => (a.called < b.called ? -1 : 1));
}

/**
 * What the holder of a pool has without a record waits there, or is on record by the name that it was taken with.
 * @param holders of pools
 */
function listed(
  all: readonly RunningSandbox[],
  calledOf: (name: string) => string,
  holders: ReadonlySet<string>,
): ListedSandbox[] {
  return all.flatMap((running) => {
    const { name, stateDirectory } = running;
    const { record, owner } = factsOf(running);
    if (record === undefined && owner !== undefined && holders.has(owner)) return [];
    return [{ called: calledOf(name), name, stateDirectory, record }];
  });
}

interface Facts {
  readonly record: SandboxRecord | undefined;
  readonly owner: string | undefined;
}

function factsOf(running: RunningSandbox): Facts {
  let fd: number | undefined;
  try {
    fd = openState(running);
    const directory = `/proc/self/fd/${fd}`;
    return { record: recordIn(directory, running), owner: ownerText(directory) };
  } catch (error) {
    if (isSystemError(error)) return { record: undefined, owner: undefined };
    throw error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function recordIn(directory: string, { name, user }: RunningSandbox): SandboxRecord | undefined {
  try {
    return readRecord(directory, name, user?.uid);
  } catch (error) {
    if (error instanceof RecordError || isSystemError(error)) return undefined;
    throw error;
  }
}
