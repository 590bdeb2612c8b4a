/** Packs the files of a boot image, and compares them with what the image says of them. */
import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { INITRD_NAME, MANIFEST_NAME, manifestText } from '../../image/manifest.js';
import {
  isOwnSnapshot,
  SNAPSHOT_MEMORY,
  SNAPSHOT_RECORD,
  SNAPSHOT_STATE,
  type Snapshot,
  type SnapshotRecord,
  snapshotRecordText,
} from '../../image/snapshot/record.js';
import type { OpenedImage } from '../../image/store/import.js';
import type { StoredContent } from '../../oci/registry/push-target.js';
import { imageError } from '../../oci-names/errors.js';
import type { SandboxError } from '../../util/errors.js';
import { UnreadableFile } from '../../util/regular-files.js';
import { type DigestKind, type Packed, packFile } from './content.js';
import { type PackedFile, snapshotAnnotations } from './document.js';
import { MOST_SNAPSHOTS, snapshotPath } from './files.js';

/** A packed file, and its packed bytes. */
export interface PackedLayer extends PackedFile {
  readonly content: StoredContent;
}

export interface PackOptions {
  readonly signal?: AbortSignal | undefined;
  /** Gets the path of each file before it is packed. */
  readonly onFile?: ((path: string) => void) | undefined;
}

/**
 * Packs an image and its snapshots.
 * @param workspace An empty directory, in which the packed files stay.
 * @throws {SandboxError} `image-damaged`, `snapshot-damaged`: a file is not what it was; `file-unreadable`;
 *   `snapshot-not-safe`: somebody else may change it; `snapshots-too-many`; `zstd-missing`
 * @throws the error of a system call on the workspace; the signal's reason
 */
export async function packImage(
  { directory, manifest }: OpenedImage,
  snapshots: readonly Snapshot[],
  workspace: string,
  { signal, onFile }: PackOptions,
): Promise<PackedLayer[]> {
  refuseSnapshots(snapshots);
  const layers: PackedLayer[] = [];
  /** @param expected of its content; undefined: not known */
  const add = async (
    path: string,
    from: string,
    kind: DigestKind,
    expected: string | undefined,
    damaged: () => SandboxError,
    annotations: Readonly<Record<string, string>> = {},
  ) => {
    onFile?.(path);
    const to = join(workspace, String(layers.length));
    const packed = await packFile(from, to, kind, signal).catch((error: unknown) => {
      throw error instanceof UnreadableFile ? unreadable(from, error) : error;
    });
    if (expected !== undefined && packed.content.digest !== expected) throw damaged();
    layers.push({ path, annotations, ...describe(packed, to) });
  };

  const text = join(workspace, MANIFEST_NAME);
  await writeFile(text, manifestText(manifest), { mode: 0o600 });
  await add(MANIFEST_NAME, text, 'whole', undefined, () => imageDamaged(text));
  const kernelFirst = [...manifest.files].sort(
    (a, b) => Number(a.name === INITRD_NAME) - Number(b.name === INITRD_NAME),
  );
  for (const { name, sha256 } of kernelFirst) {
    const from = join(directory, name);
    await add(name, from, 'whole', sha256, () => imageDamaged(from));
  }
  for (const [number, { directory: from, record }] of snapshots.entries()) {
    const path = snapshotPath(number);
    const damaged = () => snapshotDamaged(from);
    const recordFile = join(workspace, `${number}.json`);
    await writeFile(recordFile, snapshotRecordText(recordForOthers(record)), { mode: 0o600 });
    await add(`${path}/${SNAPSHOT_RECORD}`, recordFile, 'whole', undefined, damaged, snapshotAnnotations(record));
    for (const name of [SNAPSHOT_MEMORY, SNAPSHOT_STATE]) {
      const expected = record.files.find((file) => file.name === name)?.digest ?? '';
      await add(`${path}/${name}`, join(from, name), 'sparse', expected, damaged);
    }
  }
  return layers;
}

function describe({ digest, size }: Packed, path: string): Pick<PackedLayer, 'digest' | 'size' | 'content'> {
  const named = `sha256:${digest}`;
  return { digest: named, size, content: { digest: named, size, open: () => createReadStream(path) } };
}

/**
 * What of a record means something on another host. So the same machine has the same record, whichever store it is
 * pushed from, and nothing is told of the files and users of this host.
 */
export function recordForOthers({ format: _format, ...record }: SnapshotRecord): Omit<SnapshotRecord, 'format'> {
  const { host, needs = {}, profile } = record;
  return {
    ...record,
    // The identity of a program is that of its file, and its content is what counts elsewhere.
    host: Object.fromEntries(Object.entries(host).map(([name, fact]) => [name, needs[name]?.sha256 ?? fact])),
    profile: profile?.includes('/') ? undefined : profile,
    owner: 0,
    files: record.files.map((file) => ({ ...file, identity: '' })),
  };
}

function refuseSnapshots(snapshots: readonly Snapshot[]): void {
  if (snapshots.length > MOST_SNAPSHOTS)
    throw imageError(
      'snapshots-too-many',
      `the image has ${snapshots.length} snapshots, and at most ${MOST_SNAPSHOTS} are pushed`,
      'remove some with virt-sandbox-bake prune --stale or rm --warm, or push it with --cold',
    );
  const unsafe = snapshots.find((snapshot) => !isOwnSnapshot(snapshot));
  if (unsafe !== undefined)
    throw imageError(
      'snapshot-not-safe',
      `others than root and this user may change the snapshot ${unsafe.directory}`,
      'bake it again in a store of this user, or push the image with --cold',
    );
}

function unreadable(path: string, { message, cause }: UnreadableFile): SandboxError {
  return imageError(
    'file-unreadable',
    `${path} ${message}`,
    'push again, as a user who may read it; if it is damaged, bake the image anew, or remove the snapshot',
    cause,
  );
}

function imageDamaged(path: string): SandboxError {
  return imageError(
    'image-damaged',
    `${path} is not what its manifest says`,
    'bake the image again with virt-sandbox-bake create --rebuild',
  );
}

export function snapshotDamaged(directory: string): SandboxError {
  return imageError(
    'snapshot-damaged',
    `the snapshot ${directory} is not what it was when it was saved`,
    'remove it with virt-sandbox-bake prune --stale, or push the image with --cold',
  );
}
