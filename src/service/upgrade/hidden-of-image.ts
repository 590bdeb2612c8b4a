/** What a service hides of another image than the one that it is of. A guest has written the overlay: nothing in it is followed. */
import { createHash } from 'node:crypto';
import { ErofsError, type ErofsInode, ErofsReader } from '../../oci/erofs/reader.js';
import { differencesOf } from '../../oci/layers/erofs-differences.js';
import { layerOf } from '../../sandbox/devices/overlay-layers.js';
import { bytesOf, textOf } from '../../util/raw-text.js';
import { ABSENT, MOST_BYTES, OTHER } from '../content/fingerprint.js';
import type { HiddenFile } from './hidden.js';
import { upgradeFailed } from './renew.js';
import type { OwnEntry, State } from './state.js';

export interface ComparedImages {
  readonly state: State;
  /** The file system of the image that the service is of. */
  readonly before: string;
  /** That of the other one. */
  readonly now: string;
}

/**
 * Files that differ between the images and that the service has of its own, in the order of their paths.
 * @throws {SandboxError} `service-upgrade-failed`, `aborted`
 */
export async function hiddenOfImage(compared: ComparedImages, signal?: AbortSignal): Promise<HiddenFile[]> {
  const readers: ErofsReader[] = [];
  try {
    const differences = await differencesOf(compared.before, compared.now, signal);
    const [before, now] = [compared.before, compared.now].map((path) => {
      const reader = new ErofsReader(path);
      readers.push(reader);
      return reader;
    }) as [ErofsReader, ErofsReader];
    const found: HiddenFile[] = [];
    for (const { path } of differences) {
      const file = await compareFile(compared.state, before, now, textOf(Buffer.from(path, 'latin1')));
      if (file !== undefined) found.push(file);
    }
    return found.sort((one, other) => (one.path < other.path ? -1 : 1));
  } catch (error) {
    throw error instanceof ErofsError ? upgradeFailed('the images cannot be compared', error) : error;
  } finally {
    for (const reader of readers) reader.close();
  }
}

async function compareFile(
  state: State,
  before: ErofsReader,
  now: ErofsReader,
  path: string,
): Promise<HiddenFile | undefined> {
  const own = await ownFile(state, path);
  if (own === undefined) return undefined;
  const [was, is] = [inodeAt(before, path), inodeAt(now, path)];
  // Directories of both are one.
  if (own.entry.kind === 'directory' && (is === undefined || is.kind === 'directory')) return undefined;
  const [had, has] = [fingerprintIn(before, was), fingerprintIn(now, is)];
  const { entry, fingerprint: service } = own;
  if (service === has && service !== OTHER) return undefined;
  const isAlike =
    was !== undefined &&
    Number(entry.mode) === was.mode &&
    Number(entry.uid) === was.uid &&
    Number(entry.gid) === was.gid;
  const verdict = service === had && service !== OTHER && isAlike ? 'hidden' : 'conflict';
  return { path, before: had, now: has, service, verdict, isCopied: false };
}

interface OwnFile {
  readonly entry: OwnEntry;
  readonly fingerprint: string;
}

async function ownFile(state: State, path: string): Promise<OwnFile | undefined> {
  const layer = layerOf(state.layers, path);
  if (layer === undefined) return undefined;
  const names = path.slice(layer.mount.length).split('/').slice(1);
  const last = names.pop() ?? '';
  const tree = state.open(layer);
  try {
    if (!names.every((name) => tree.enter(name))) return undefined;
    const entry = tree.look(last);
    if (entry === undefined) return undefined;
    const fingerprint = entry.kind === 'directory' ? OTHER : await tree.fingerprint(last, 'sha256');
    return { entry, fingerprint };
  } finally {
    tree.close();
  }
}

/** Links are not followed. */
function inodeAt(reader: ErofsReader, path: string): ErofsInode | undefined {
  let at = reader.inode(reader.root);
  for (const name of bytesOf(path).toString('latin1').split('/').slice(1)) {
    if (at.kind !== 'directory') return undefined;
    const [, number] = [...reader.entries(at)].find(([one]) => one === name) ?? [];
    if (number === undefined) return undefined;
    at = reader.inode(number);
  }
  return at;
}

function fingerprintIn(reader: ErofsReader, inode: ErofsInode | undefined): string {
  if (inode === undefined) return ABSENT;
  if (inode.kind === 'symlink') return `link:${textOf(Buffer.from(reader.target(inode), 'latin1'))}`;
  if (inode.kind !== 'file' || inode.size > MOST_BYTES) return OTHER;
  const hash = createHash('sha256');
  for (const piece of reader.data(inode)) hash.update(piece);
  return `sha256:${hash.digest('hex')}`;
}
