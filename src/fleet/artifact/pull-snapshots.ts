/** Pulls the snapshots of a boot image that serve on this host, and says why others are left. */
import { chmod, chown, mkdir } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { kvmObstacle } from '../../domain/acceleration.js';
import { publishSnapshot } from '../../image/snapshot/publish.js';
import {
  changedFiles,
  isOwnSnapshot,
  MOST_RECORD,
  MOST_STATE,
  parseRecord,
  SNAPSHOT_EMPTY,
  SNAPSHOT_MEMORY,
  SNAPSHOT_STATE,
  type SnapshotRecord,
  snapshotsOf,
} from '../../image/snapshot/record.js';
import { isReadyRecord } from '../../image/snapshot/record-check.js';
import type { OpenedImage } from '../../image/store/import.js';
import { quoted } from '../../oci-names/errors.js';
import { loadProfile } from '../../profile/load.js';
import { RATE_FACT, snapshotHost } from '../../sandbox/snapshot/host.js';
import { problemText, staleness } from '../../sandbox/snapshot/validity.js';
import { qemuGroup } from '../../sandbox/state/qemu-user.js';
import { ignoreSandboxError } from '../../util/errors.js';
import { writeContent } from './content.js';
import { artifactInvalid } from './errors.js';
import { type FetchOptions, fetchFile, fetchText } from './fetch.js';
import type { ArtifactLayer, SnapshotLayers } from './files.js';

export interface PulledSnapshots {
  readonly snapshots: readonly PulledSnapshot[];
  /** Those that do not serve here: their path in the artifact, and why, behind `because`. */
  readonly left: readonly { readonly path: string; readonly reason: string }[];
}

export interface PulledSnapshot {
  readonly directory: string;
  /** Whether it has come now. False: the store has one of the same machine that serves, perhaps another one. */
  readonly fresh: boolean;
}

interface SnapshotPullOptions {
  /** The name that the image gets, by which programs in its snapshots are found then. */
  readonly name: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((message: string) => void) | undefined;
}

/** @throws {SandboxError} as {@link fetchFile}; `artifact-invalid`, `store-not-writable`, `disk-full` */
export async function pullSnapshots(
  image: OpenedImage,
  layers: readonly SnapshotLayers[],
  fetching: FetchOptions,
  options: SnapshotPullOptions,
): Promise<PulledSnapshots> {
  const snapshots: PulledSnapshot[] = [];
  const left: { path: string; reason: string }[] = [];
  if (layers.length === 0) return { snapshots, left };
  const host = await snapshotHost();
  for (const one of layers) {
    const record = named(parseRecord(await fetchText(one.record, MOST_RECORD, fetching)), options.name);
    const reason = await obstacleOf(record, image, host);
    if (record === undefined || reason !== undefined) left.push({ path: one.path, reason: reason ?? '' });
    else snapshots.push(await pullSnapshot(image, one, record, { host, fetching, options }));
  }
  return { snapshots, left };
}

function named(record: SnapshotRecord | undefined, name: string | undefined): SnapshotRecord | undefined {
  if (record?.prepared === undefined || name === undefined) return record;
  return { ...record, prepared: { ...record.prepared, name } };
}

/** Why a snapshot does not serve on this host, by its record alone; undefined: it does. */
async function obstacleOf(
  record: SnapshotRecord | undefined,
  { manifest }: OpenedImage,
  host: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  if (record === undefined || !isReadyRecord(record.ready))
    return 'its record is damaged, or of another version of this program';
  if (record.image !== manifest.id) return `it is of the boot image ${record.image}`;
  if (record.memory > totalmem())
    return `it has ${record.memory / 2 ** 20} MiB of memory, and this host ${Math.floor(totalmem() / 2 ** 20)} MiB`;
  const kvm = record.acceleration === 'kvm' ? kvmObstacle() : undefined;
  if (kvm !== undefined) return `it is of KVM, and ${kvm}`;
  if (record.sets.join() !== manifest.sets.join()) return 'its record is of another boot image';
  const unsaid = Object.keys(host).find((fact) => fact !== RATE_FACT && record.host[fact] === undefined);
  if (unsaid !== undefined) return `its record does not have ${unsaid}`;
  // A path of another host means nothing here.
  const named = record.profile?.includes('/') ? undefined : record.profile;
  const profile = named === undefined ? undefined : await ignoreSandboxError(loadProfile(named));
  if (named !== undefined && profile === undefined) return `there is no profile ${quoted(named)} on this host`;
  const problem = await staleness(record, profile, host);
  return problem && `it ${problemText(problem)}`;
}

async function pullSnapshot(
  { directory }: OpenedImage,
  layers: SnapshotLayers,
  record: SnapshotRecord,
  {
    host,
    fetching,
    options: { signal, onProgress },
  }: { host: Readonly<Record<string, string>>; fetching: FetchOptions; options: SnapshotPullOptions },
): Promise<PulledSnapshot> {
  const find = () => servingSnapshot(directory, record, host);
  const there = await find();
  if (there !== undefined) return { directory: there, fresh: false };
  // It is that of a libvirtd of root's too.
  const group = qemuGroup('embedded', record.acceleration);
  const save = async (to: string) => {
    const empty = join(to, SNAPSHOT_EMPTY);
    await mkdir(empty);
    await chmod(empty, 0o555);
    const take = async (layer: ArtifactLayer, name: string, most: number, size?: number) => {
      onProgress?.(`Pulling ${layer.path}`);
      const path = join(to, name);
      const found = await writeContent(fetchFile(layer, most, fetching), path, 'sparse');
      const isRight = found.digest === record.files.find((file) => file.name === name)?.digest;
      if (!isRight || (size !== undefined && found.size !== size))
        throw artifactInvalid(fetching.source.name, `its ${layer.path} is not what its record says`);
      if (group !== undefined) await chown(path, 0, group);
    };
    await take(layers.memory, SNAPSHOT_MEMORY, record.memory, record.memory);
    await take(layers.state, SNAPSHOT_STATE, MOST_STATE);
    // Another pull may have been quicker.
    const meanwhile = await find();
    if (meanwhile !== undefined) throw new AlreadyThere(meanwhile);
    return factsHere(record, host);
  };
  try {
    return { directory: (await publishSnapshot(directory, save, signal)).directory, fresh: true };
  } catch (error) {
    if (!(error instanceof AlreadyThere)) throw error;
    return { directory: error.directory, fresh: false };
  }
}

class AlreadyThere extends Error {
  constructor(readonly directory: string) {
    super();
  }
}

/** The facts of a snapshot that was found to serve here: with those of this host, whose next change is noticed. */
function factsHere(
  { format: _format, files: _files, ...facts }: SnapshotRecord,
  host: Readonly<Record<string, string>>,
): Omit<SnapshotRecord, 'format' | 'files'> {
  const rate = facts.host[RATE_FACT];
  return {
    ...facts,
    // The guest counts by the rate that it was saved with, however often it is pushed and pulled.
    host: { ...facts.host, ...host, ...(rate === undefined ? {} : { [RATE_FACT]: rate }) },
    owner: process.geteuid?.() ?? 0,
  };
}

/**
 * The directory of a snapshot of the same machine that serves here: one that a pull would replace with what is as good.
 * It may be this host's own.
 */
async function servingSnapshot(
  imageDirectory: string,
  { machine, image, prepared }: SnapshotRecord,
  host: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  for (const one of snapshotsOf(imageDirectory)) {
    const { record, directory } = one;
    if (record.machine !== machine || record.image !== image || !isOwnSnapshot(one)) continue;
    if (JSON.stringify(record.prepared) !== JSON.stringify(prepared)) continue;
    if (changedFiles(one).length === 0 && (await staleness(record, undefined, host)) === undefined) return directory;
  }
  return undefined;
}
