/** Makes a clone of a service: its state as it is at one moment, and identities of its own. */
import type { Publish, SandboxConfig } from '../../config/types.js';
import { checkFileUri } from '../connection.js';
import { copyBaseline } from '../content/baseline.js';
import { abortedError, orAborted } from '../errors.js';
import { loadService, saveService } from '../file.js';
import { labelsOf } from '../label.js';
import { checkServiceName } from '../names.js';
import type { ServiceRoots } from '../paths.js';
import { type HeldLockOptions, holdServiceLocks, type Release, releaseAll } from '../store/held-lock.js';
import { makeService, refuseExisting } from '../store/staging.js';
import type { Service } from '../types.js';
import { checkWanted } from './check.js';
import { type CloneTexts, describeClone, type WantedClone } from './describe.js';
import { sameName } from './errors.js';
import { type FilledState, fillState } from './fill.js';
import { checkKeyMaker } from './host-keys.js';
import { lockPorts, otherPorts, publishedPorts } from './ports.js';
import type { SourceControl, WhenRunning } from './source.js';

export interface CloneOptions extends CloneTexts, HeldLockOptions {
  readonly whenRunning: WhenRunning;
  /** Gives it host keys of its own, of the kinds that the source has. */
  readonly newHostKeys: boolean;
  readonly control: SourceControl;
}

export interface Cloned extends FilledState {
  readonly service: Service;
  readonly source: Service;
  /** What the two share, as sentences. */
  readonly notes: readonly string[];
}

/**
 * If anything fails, nothing of the clone is left, and a source that ran runs again.
 * @throws {SandboxError} `service-not-found`, `service-exists`, `service-no-port`, `service-not-writable`, and what
 *   `checkFileUri`, `describeClone`, `checkOverlay` and `fillState` throw
 */
export async function cloneService(
  roots: ServiceRoots,
  [from, name]: readonly [source: string, clone: string],
  options: CloneOptions,
): Promise<Cloned> {
  for (const each of [from, name]) checkServiceName(each);
  if (from === name) throw sameName(name);
  if (options.newHostKeys) checkKeyMaker();
  const held = await holdServiceLocks(roots, [from, name], options);
  try {
    refuseExisting(roots, name);
    const source = await loadService(roots, from);
    checkFileUri(roots, from, source.settings);
    const wanted = describeClone(source, name, { ...options, labels: await labelsOf(roots) });
    return await make(roots, { ...options, source, wanted, unlock: async () => held.get(from)?.() });
  } finally {
    await releaseAll(held);
  }
}

interface Making extends CloneOptions {
  readonly source: Service;
  readonly wanted: WantedClone;
  /** Lets the lock of the source go. */
  readonly unlock: Release;
}

async function make(roots: ServiceRoots, making: Making): Promise<Cloned> {
  const { wanted, source, signal } = making;
  const { name, settings } = wanted;
  let unlockPorts: Release | undefined;
  let filled: FilledState = { changed: [] };
  let config: SandboxConfig = wanted.config;
  try {
    const paths = await makeService(roots, name, async (staged) => {
      // What a killed process has left at the place of the state is gone by now.
      checkWanted(roots, wanted);
      filled = await fillState(making, staged);
      await copyBaseline(source.paths.directory, staged.paths.directory);
      unlockPorts = await lockPorts(roots, signal);
      config = { ...config, publish: await portsOf(roots, wanted) };
      await saveService({ paths: staged.paths, config, settings });
      if (signal?.aborted) throw abortedError(name);
    });
    return { ...filled, source, notes: wanted.notes, service: { name, paths, config, settings } };
  } catch (error) {
    throw orAborted(error, name, signal);
  } finally {
    await unlockPorts?.();
  }
}

async function portsOf(roots: ServiceRoots, { config, choosesPorts }: WantedClone): Promise<readonly Publish[]> {
  if (!choosesPorts || config.publish.length === 0) return config.publish;
  return otherPorts(config.publish, await publishedPorts(roots));
}
