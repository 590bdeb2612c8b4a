/** Writes a service, with its state as it is at one moment, as one archive. */
import { keptOverlay } from '../../sandbox/devices/overlay-directory.js';
import { checkSource } from '../clone/copy-state.js';
import { stateOf } from '../clone/describe.js';
import {
  copyFromSource,
  type SourceControl,
  type SourceCopy,
  type SourceTold,
  type WhenRunning,
} from '../clone/source.js';
import { stopRecordOf } from '../clone/stop-record.js';
import { abortedError, orAborted } from '../errors.js';
import { formatService, loadService } from '../file.js';
import { checkServiceName } from '../names.js';
import type { ServiceRoots } from '../paths.js';
import { whileMounted } from '../store/bound.js';
import { type HeldLockOptions, holdServiceLocks, releaseAll } from '../store/held-lock.js';
import { whileUnused } from '../store/unused.js';
import type { Service } from '../types.js';
import { notExported } from './errors.js';
import { Interruption } from './interruption.js';
import { CONFIG, formatManifest, MANIFEST, type Manifest } from './manifest.js';
import { startProgram } from './program.js';
import { textMember } from './write-member.js';
import { writeImage, writeLayers } from './write-state.js';

/** GNU tar ends with a whole record, of twenty blocks. */
const END_OF_ARCHIVE = Buffer.alloc(20 * 512);

export interface ExportOptions extends HeldLockOptions {
  readonly whenRunning: WhenRunning;
  readonly control: SourceControl;
  /** Takes the archive, piece by piece. */
  readonly write: (piece: Buffer) => Promise<void>;
}

/**
 * A source that ran runs again, whatever becomes of the archive.
 * @throws {SandboxError} `service-not-found`, `service-running`, `service-not-exported`, `service-state-missing`,
 *   `service-state-in-use`, `aborted`, and what `write` throws
 */
export async function exportService(roots: ServiceRoots, name: string, options: ExportOptions): Promise<SourceTold> {
  checkServiceName(name);
  const held = await holdServiceLocks(roots, [name], options);
  try {
    const source = await loadService(roots, name);
    const { whenRunning, control, signal } = options;
    const state = stateOf(source);
    const work: SourceCopy = {
      name,
      stop: stopRecordOf(source, 'to be exported'),
      whenRunning,
      control,
      signal,
      unlock: async () => held.get(name)?.(),
      check: (isRunning) => checkSource(source, isRunning),
      copy: (isRunning) => writeAll(source, isRunning, options),
    };
    return await whileMounted(state, () => copyFromSource(work));
  } catch (error) {
    throw orAborted(error, name, options.signal);
  } finally {
    await releaseAll(held);
  }
}

async function writeAll(source: Service, isRunning: boolean, options: ExportOptions): Promise<void> {
  const { name } = source;
  const { type, path } = stateOf(source);
  const kept = type === 'directory' ? keptOverlay(path) : undefined;
  const begin = async (state: Manifest['state']) => {
    await options.write(textMember(MANIFEST, formatManifest({ version: 1, name, state })));
    await options.write(textMember(CONFIG, await formatService(source)));
  };
  if (type === 'image') {
    await begin({ type });
    await writeState(name, writeImage(path), options);
    return;
  }
  if (kept === undefined) {
    // Without a record nothing was ever written there.
    await begin({ type });
    await options.write(END_OF_ARCHIVE);
    return;
  }
  await begin({ type, overlay: { kind: kept.kind, root: kept.root } });
  const write = () => writeState(name, writeLayers(kept), options);
  if (isRunning) await write();
  else await whileUnused(name, kept, options.signal, write);
}

/** What tar(1) writes, with the end of the archive. */
async function writeState(name: string, argv: readonly string[], { write, signal }: ExportOptions): Promise<void> {
  const running = await startProgram(argv);
  running.stdin.end();
  running.stdin.on('error', () => {});
  const interruption = new Interruption();
  const cancel = () => {
    running.kill();
    interruption.interrupt(abortedError(name));
  };
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    // Who takes the archive may be slow.
    for await (const piece of running.stdout) await interruption.guard(write(piece));
  } catch (error) {
    running.kill();
    await running.ended;
    throw signal?.aborted ? abortedError(name) : error;
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
  const problem = await running.ended;
  if (signal?.aborted) throw abortedError(name);
  if (problem !== undefined) throw notExported(name, problem);
}
