/**
 * Who holds a service: a directory for as long as its holder lives, beside those of sandboxes. Making it claims the
 * service. One whose holder was killed is recognised by the process ID and the start of that process.
 */
import { chmodSync, lstatSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  claimStateMeanwhile,
  isLeft,
  ownerLives,
  ownerText,
  releaseState,
  removeStaleMeanwhile,
  type StateDirectory,
  stateBase,
} from '../../sandbox/state/state-directory.js';
import { SandboxError, valueOr } from '../../util/errors.js';
import { alreadyRuns } from './errors.js';

/** What the name of their directory has behind that of the directories of sandboxes. */
const BESIDE = '-services';

/** A claim that is being made, or given back: then the process is in its name. */
const HALF = /^\.claim-(?:(\d+)-\d+|[A-Za-z0-9]{6})$/;

/** More than a claim takes to be made, in milliseconds. */
const MAKING_MS = 60_000;

export type Claim = Pick<StateDirectory, 'path' | 'owner'>;

export interface Holder {
  readonly pid: number;
  /** Its process ID and its start. */
  readonly owner: string;
  /** Its directory, with its socket. */
  readonly directory: string;
}

/**
 * Claims a service, which no other process holds then.
 * @throws {SandboxError} `service-running`, `service-name-invalid`, `state-not-writable`
 */
export async function claimService(name: string): Promise<Claim> {
  try {
    removeHalves();
    const claim = await claimStateMeanwhile(name, 'session', claims());
    chmodSync(claim.path, 0o700);
    return claim;
  } catch (error) {
    if (error instanceof SandboxError && error.code === 'name-in-use') throw alreadyRuns(name, error);
    throw error;
  }
}

/** Removes what processes that were killed have left of claims that they made or gave back. */
function removeHalves(): void {
  const above = claims();
  for (const name of valueOr(() => readdirSync(above), [])) {
    const [, pid] = HALF.exec(name) ?? [];
    const path = join(above, name);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (!HALF.test(name) || found === undefined || found.uid !== process.geteuid?.()) continue;
    const isOld = Date.now() - found.mtimeMs > MAKING_MS;
    if (pid === undefined ? isOld && !ownerLives(path) : !isAlive(Number(pid)))
      rmSync(path, { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  return valueOr(() => process.kill(pid, 0), false);
}

export function releaseService(claim: Claim): void {
  releaseState(claim);
}

/** The process that holds a service of this user; undefined: it does not run. */
export function findHolder(name: string): Holder | undefined {
  const directory = join(claims(), name);
  const found = valueOr(() => statSync(directory), undefined);
  if (found === undefined || !found.isDirectory() || found.uid !== process.geteuid?.()) return undefined;
  if (!ownerLives(directory)) return undefined;
  const owner = ownerText(directory);
  return owner === undefined ? undefined : { pid: Number(owner.split(' ')[0]), owner, directory };
}

/** Removes the claim of a holder that was killed, if there is one, also one that it was giving back. */
export async function removeDeadClaim(name: string): Promise<void> {
  removeHalves();
  const directory = join(claims(), name);
  if (isLeft(directory)) await removeStaleMeanwhile(directory);
}

/** What of a claim is the same as `owner` of its {@link Holder}. */
export function ownerOf({ owner }: Claim): string {
  return owner.split(' ', 2).join(' ');
}

function claims(): string {
  return `${stateBase()}${BESIDE}`;
}
