/**
 * What the host had when a service was made or upgraded, for `upgrade`: each file below /etc, each file that was copied,
 * and what the packages say of all others. To look at every file of the host would take minutes.
 */
import { type BigIntStats, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { covers } from '../../config/path.js';
import { isSystemError, messageOf } from '../../util/errors.js';
import { isRecord } from '../../util/records.js';
import { replaceFile } from '../../util/replace-file.js';
import { serviceError } from '../errors.js';
import { LOGS } from './copy.js';
import { ABSENT, fingerprintOf, OTHER } from './fingerprint.js';
import { above, type HostTree } from './host-tree.js';
import type { PackageManager } from './types.js';

const FILE = 'baseline.json.gz';
const SETTINGS = '/etc';
/** Larger ones below /etc are no settings. */
const MOST_SETTINGS_BYTES = 2 ** 20;
/** Directories in one another. */
const MOST_DEPTH = 128;
/** More than the packages of any host have. */
const MOST_BYTES = 512 * 2 ** 20;

export interface Baseline {
  /** Fingerprints of files that were looked at. */
  readonly files: ReadonlyMap<string, string>;
  /** Those of files as their packages have them. */
  readonly packaged: ReadonlyMap<string, string>;
}

export interface BaselineWish {
  /** A directory of this host. */
  readonly root: string;
  readonly manager: PackageManager | undefined;
  /** Paths in the root. */
  readonly copied: readonly string[];
  /** What is never looked into. */
  readonly foreign: ReadonlySet<string>;
}

/** What the host has now. */
export async function baselineOf({ root, manager, copied, foreign }: BaselineWish): Promise<Baseline> {
  const files = new Map<string, string>();
  const take = async (path: string, most?: number) =>
    above(
      root,
      path,
      () => {},
      async (tree, name) => collect({ tree, files, foreign, most }, name),
    );
  await take(SETTINGS, MOST_SETTINGS_BYTES);
  for (const path of copied) await take(path);
  return { files, packaged: (await manager?.digests()) ?? new Map() };
}

interface Collecting {
  readonly tree: HostTree;
  readonly files: Map<string, string>;
  readonly foreign: ReadonlySet<string>;
  readonly most: number | undefined;
}

function collect(collecting: Collecting, name: string): void {
  const { tree, files, foreign, most } = collecting;
  const path = tree.pathOf(name);
  if (foreign.has(path) || covers(LOGS, path)) return;
  const found = lookIfOpen(tree, name);
  if (found === undefined) return;
  if (!found.isDirectory()) {
    const fingerprint = fingerprintOf(tree, name, 'sha256', most);
    if (fingerprint !== ABSENT) files.set(path, fingerprint);
    return;
  }
  if (tree.depth >= MOST_DEPTH || !tree.enter(name)) return;
  for (const below of tree.names()) collect(collecting, below);
  tree.leave();
}

/** An ordinary user may list directories that are closed to that user. */
function lookIfOpen(tree: HostTree, name: string): BigIntStats | undefined {
  try {
    return tree.look(name);
  } catch (error) {
    if (isSystemError(error, 'EACCES')) return undefined;
    throw error;
  }
}

/** What a path had; undefined: nobody knows. */
export function hadAt({ files, packaged }: Baseline, path: string): string | undefined {
  const known = files.get(path) ?? packaged.get(path) ?? (covers(SETTINGS, path) ? ABSENT : undefined);
  return known === OTHER ? undefined : known;
}

/** Writes it into the directory of a service, as a whole or not at all. The caller has its lock. */
export async function saveBaseline(directory: string, { files, packaged }: Baseline): Promise<void> {
  const text = JSON.stringify({ version: 1, files: [...files], packaged: [...packaged] });
  const bytes = await promisify(gzip)(text);
  await replaceFile(join(directory, FILE), bytes, { mode: 0o600, flush: true, isOnlyWriter: true });
}

/** A clone has copies of the same files. What there is not is not copied. */
export async function copyBaseline(from: string, to: string): Promise<void> {
  let bytes: Buffer;
  try {
    bytes = readFileSync(join(from, FILE));
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return;
    throw error;
  }
  await replaceFile(join(to, FILE), bytes, { mode: 0o600, flush: true });
}

/** Undefined: the service has none, as one of an older version. @throws {SandboxError} `service-damaged` */
export async function readBaseline(directory: string): Promise<Baseline | undefined> {
  const path = join(directory, FILE);
  try {
    const bytes = await promisify(gunzip)(readFileSync(path), { maxOutputLength: MOST_BYTES });
    const value: unknown = JSON.parse(bytes.toString());
    if (!isRecord(value) || value['version'] !== 1) throw new Error('it has another form');
    return { files: pairs(value['files']), packaged: pairs(value['packaged']) };
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw serviceError(
      'service-damaged',
      `${JSON.stringify(path)} does not say what the host had: ${messageOf(error)}`,
      'remove that file: the next upgrade begins with what the host has then',
      error,
    );
  }
}

function pairs(value: unknown): Map<string, string> {
  const isPair = (one: unknown): one is [string, string] =>
    Array.isArray(one) && one.length === 2 && one.every((part) => typeof part === 'string');
  if (!Array.isArray(value) || !value.every(isPair)) throw new Error('it has another form');
  return new Map(value);
}
