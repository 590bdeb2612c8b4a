/** Differences between two images, or between two initrds. */

import { MIB } from '../../config/parsers/size.js';
import { moduleVersions } from '../../kmods/modinfo.js';
import { printable } from '../archive/newc.js';
import { type FinalEntry, finalEntries } from '../archive/read.js';
import { type Manifest, sha256 } from '../manifest.js';
import { devicesText, type SnapshotRecord } from '../snapshot/record.js';
import type { Initrd } from './source.js';

/** One difference. */
export interface Difference {
  readonly about: 'kernel' | 'init' | 'modules' | 'sets' | 'arguments' | 'warm' | 'compression' | 'size' | 'contents';
  /** The thing that differs: `version`, a module's name, a path. */
  readonly what: string;
  /** Value in the first; undefined if it has no such thing. */
  readonly a: string | undefined;
  /** Value in the second; undefined if it has no such thing. */
  readonly b: string | undefined;
}

/**
 * Every difference between two initrds; for two images also between their kernels and snapshots. Empty if they are the
 * same.
 */
export function differences(a: Initrd, b: Initrd): Difference[] {
  return [
    ...(a.manifest && b.manifest ? manifestDifferences(a.manifest, b.manifest) : []),
    ...snapshotDifferences(a.snapshots, b.snapshots),
    ...entryDifferences(a, b),
    ...fields('size', [['initrd', bytes(a.size), bytes(b.size)]]),
  ];
}

const bytes = (count: number): string => `${count} bytes`;

type Field = readonly [what: string, a: string | undefined, b: string | undefined];

function fields(about: Difference['about'], list: readonly Field[]): Difference[] {
  return list.filter(([, a, b]) => a !== b).map(([what, a, b]) => ({ about, what, a, b }));
}

function manifestDifferences(a: Manifest, b: Manifest): Difference[] {
  const sizeOf = (manifest: Manifest) =>
    bytes(manifest.files.find(({ name }) => name === manifest.kernel.file)?.size ?? 0);
  const bootFile = ({ kernel }: Manifest) => `${kernel.file}, ${kernel.reason}`;
  return [
    ...fields('kernel', [
      ['version', a.kernel.version, b.kernel.version],
      ['installed file', digest(a.kernel.source), digest(b.kernel.source)],
      ['booted file', bootFile(a), bootFile(b)],
    ]),
    ...fields('sets', [['sets', a.sets.join(', '), b.sets.join(', ')]]),
    ...fields('compression', [['initrd', a.compression, b.compression]]),
    ...fields('size', [['kernel', sizeOf(a), sizeOf(b)]]),
  ];
}

function digest({ size, sha256 }: { readonly size: number; readonly sha256: string }): string {
  return `${bytes(size)}, sha256 ${sha256.slice(0, 16)}`;
}

/**
 * Compares the snapshots that serve the same sandboxes. Kernel arguments come from a profile, so only a snapshot has
 * them, not an image.
 */
function snapshotDifferences(a: readonly SnapshotRecord[], b: readonly SnapshotRecord[]): Difference[] {
  const shapes = [...new Set([...a, ...b].map(shapeOf))].sort();
  return shapes.flatMap((shape) => {
    const of = (records: readonly SnapshotRecord[]) => records.filter((record) => shapeOf(record) === shape);
    const text = (records: readonly SnapshotRecord[], tell: (record: SnapshotRecord) => string) =>
      records.length === 0 ? undefined : [...new Set(records.map(tell))].sort().join('; ');
    const [left, right] = [of(a), of(b)];
    const argumentsOf = ({ kernelArguments = 'not known' }: SnapshotRecord) => printable(kernelArguments);
    const machineOf = ({ machine }: SnapshotRecord) => `a machine of sha256 ${printable(machine.slice(0, 16))}`;
    return [
      ...(left.length > 0 && right.length > 0
        ? fields('arguments', [[`kernel arguments of ${shape}`, text(left, argumentsOf), text(right, argumentsOf)]])
        : []),
      ...fields('warm', [[shape, text(left, machineOf), text(right, machineOf)]]),
    ];
  });
}

/** The kind of sandbox that a snapshot serves. */
function shapeOf({ memory, vcpus, acceleration, slots, root, screen }: SnapshotRecord): string {
  return `${memory / MIB} MiB, vcpus=${vcpus}, ${acceleration}, ${devicesText({ slots, root, screen })}`;
}

const INIT = 'init';
const ORDER = 'modules/order';
const MODULE = /(?:^|\/)([^/]+)\.ko$/;
/** With parameters, or without. */
const LISTED_MODULE = /\/([^/]+)\.ko(?: |$)/;

function entryDifferences(a: Initrd, b: Initrd): Difference[] {
  const [left, right] = [finalEntries(a.archives), finalEntries(b.archives)];
  const paths = [...new Set([...left.keys(), ...right.keys()])].sort();
  const changed = paths.flatMap((path): Difference[] => {
    if (path === ORDER) return orderDifferences(left.get(path), right.get(path));
    const module = MODULE.exec(path)?.[1];
    const [before, after] = [left.get(path), right.get(path)];
    if (module !== undefined)
      return fields('modules', [[printable(module), moduleText(before, after), moduleText(after, before)]]);
    return fields(path === INIT ? 'init' : 'contents', [[printable(path), entryText(before), entryText(after)]]);
  });
  // The order of the headings is fixed.
  const order: readonly Difference['about'][] = ['init', 'modules', 'contents'];
  return order.flatMap((about) => changed.filter((difference) => difference.about === about));
}

/** Versions and digest of a module; `the same` if both have the same bytes. */
function moduleText(entry: FinalEntry | undefined, other: FinalEntry | undefined): string | undefined {
  if (entry === undefined) return undefined;
  if (other?.content.equals(entry.content) === true) return 'the same';
  const { version, srcversion, vermagic } = moduleVersions(entry.content);
  const named = [
    ...(version === undefined ? [] : [`version ${version}`]),
    ...(srcversion === undefined ? [] : [`srcversion ${srcversion}`]),
    ...(vermagic === undefined ? [] : [`for ${vermagic.split(' ')[0]}`]),
  ].map(printable);
  return [...named, digest({ size: entry.content.length, sha256: sha256(entry.content) })].join(', ');
}

/** The load order of the modules that both have. Other modules are listed as differences of their own. */
function orderDifferences(a: FinalEntry | undefined, b: FinalEntry | undefined): Difference[] {
  const names = (entry: FinalEntry | undefined) =>
    (entry?.content.toString('latin1') ?? '').split('\n').flatMap((line) => LISTED_MODULE.exec(line)?.[1] ?? []);
  const [left, right] = [names(a), names(b)];
  const common = (list: readonly string[], other: readonly string[]) => {
    const names = new Set(other);
    return list
      .filter((name) => names.has(name))
      .map(printable)
      .join(', ');
  };
  return fields('modules', [['load order', common(left, right), common(right, left)]]);
}

function entryText(entry: FinalEntry | undefined): string | undefined {
  if (entry === undefined) return undefined;
  const { type, mode, uid, gid, content, rdevMajor, rdevMinor } = entry;
  const common = `${type}, mode ${(mode & 0o7777).toString(8)}, owner ${uid}:${gid}`;
  if (type === 'file') return `${common}, ${digest({ size: content.length, sha256: sha256(content) })}`;
  if (type === 'symlink') return `${common}, to ${printable(content.toString('latin1'))}`;
  return type.endsWith('device') ? `${common}, ${rdevMajor}:${rdevMinor}` : common;
}
