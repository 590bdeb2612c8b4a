/** Makes the state of a clone: what the source has at one moment, with identities of its own. */
import { keptOverlay } from '../../sandbox/devices/overlay-directory.js';
import { abortedError } from '../errors.js';
import { fileContext } from '../label.js';
import { boundOf, whileMounted } from '../store/bound.js';
import { fillBound } from '../store/bound-make.js';
import { labelTree } from '../store/label-state.js';
import type { Staged } from '../store/staging.js';
import type { Service } from '../types.js';
import { checkSource, copyState } from './copy-state.js';
import { stateOf, type WantedClone } from './describe.js';
import { DirectoryFiles } from './directory-files.js';
import { makeHostKey } from './host-keys.js';
import { giveIdentity, type StateFiles } from './identity.js';
import { withImageFiles } from './image-files.js';
import { copyFromSource, type SourceCopy, type SourceTold } from './source.js';
import { stopRecordOf } from './stop-record.js';

/** A state that is to be made. */
export interface StateWork extends Pick<SourceCopy, 'whenRunning' | 'control' | 'signal' | 'unlock'> {
  readonly source: Service;
  readonly wanted: WantedClone;
  readonly newHostKeys: boolean;
}

/** The same, and where host keys are made. */
interface Filling extends StateWork {
  readonly directory: string;
}

export interface FilledState extends SourceTold {
  /** Files inside that are the clone's own, as paths. */
  readonly changed: readonly string[];
}

/**
 * The source goes on as soon as its state is copied.
 * @param staged the clone
 * @throws {SandboxError} what `MadeRecord`, `fillBound`, `copyFromSource`, `copyState` and `withImageFiles` throw
 */
export async function fillState(wish: StateWork, { paths, made }: Staged): Promise<FilledState> {
  const { wanted, signal } = wish;
  const work: Filling = { ...wish, directory: paths.directory };
  const { type, path } = wanted.state;
  if (type === 'directory') {
    await made.directory(path);
    return fillBound(path, boundOf(stateOf(work.source)), () => fillDirectory(path, work));
  }
  let filled: FilledState = { changed: [] };
  await made.file(path, async (temporary) => {
    const told = await copyTo(temporary, work);
    const { connect } = wanted.settings;
    const changed = await withImageFiles(wanted.config, temporary, { connect, signal }, (files) => give(files, work));
    filled = { ...told, changed };
  });
  return filled;
}

async function fillDirectory(path: string, work: Filling): Promise<FilledState> {
  const { wanted, signal } = work;
  const told = await copyTo(path, work);
  const kept = keptOverlay(path);
  const changed = kept === undefined ? [] : await give(new DirectoryFiles(kept), work);
  const context = fileContext(wanted.config.security, wanted.settings.filetype);
  if (context !== undefined)
    await labelTree(path, context, () => {
      if (signal?.aborted) throw abortedError(wanted.name);
    });
  return { ...told, changed };
}

function copyTo(to: string, { source, wanted, whenRunning, control, signal, unlock }: StateWork): Promise<SourceTold> {
  const copying: SourceCopy = {
    name: source.name,
    stop: stopRecordOf(source, `to be cloned as ${wanted.name}`),
    whenRunning,
    control,
    signal,
    unlock,
    check: (isRunning) => checkSource(source, isRunning),
    copy: (isRunning) => copyState({ source, to, isRunning, signal }),
  };
  return whileMounted(stateOf(source), () => copyFromSource(copying));
}

function give(files: StateFiles, { source, wanted, newHostKeys, directory }: Filling): Promise<string[]> {
  const { name, uuid } = wanted;
  const hostKey = newHostKeys ? (type: string) => makeHostKey(type, name, directory) : undefined;
  return giveIdentity(files, { sourceName: source.name, name, uuid, hostKey });
}
