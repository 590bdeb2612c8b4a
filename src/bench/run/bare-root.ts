/**
 * The root of a bare QEMU: how its guest mounts it, and what serves it where that is not QEMU: the same server as in a
 * sandbox (init/share-server), started by the same program (init/root-view).
 */
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestShare } from '../../../init/common/config.js';
import { mountPointsBelow } from '../../sandbox/devices/host-mounts.js';
import { aheadServer, makeRootServer, rootServerIn, serverWords } from '../../sandbox/devices/root-server.js';
import { ownPoint } from '../../sandbox/devices/root-view.js';
import { rootTag, VIRTIOFS_ROOT_TAG } from '../../sandbox/devices/shares.js';
import { hostProgram } from '../../util/programs.js';
import { optionValue } from '../../util/qemu-options.js';
import { isRecord, parseJson } from '../../util/records.js';
import { joinOptions, optionsOf } from './qemu-argv.js';

/** A share over virtiofs, as QEMU's command line has it. */
export interface VirtiofsDevice {
  readonly tag: string;
  /** ID of the character device that leads to its server. */
  readonly chardev: string;
}

/** How to start a bare QEMU, and what serves its root. */
export interface Served {
  /** The command: QEMU's, behind the one that starts the server. */
  readonly command: string[];
  /** The last error of the server; undefined: there is none, or no server. */
  lastWords(): string | undefined;
}

/** The shares over virtiofs of a machine. @param words of QEMU's command line */
export function virtiofsDevices(words: readonly string[]): VirtiofsDevice[] {
  return optionsOf(words).flatMap(([option, value]) => deviceOf(option, value) ?? []);
}

function deviceOf(option: string, value: string | undefined): VirtiofsDevice | undefined {
  const device = option === '-device' && value?.startsWith('{') ? parseJson(value) : undefined;
  if (!isRecord(device) || !String(device['driver']).startsWith('vhost-user-fs')) return undefined;
  return { tag: String(device['tag']), chardev: String(device['chardev']) };
}

/** The root of a machine, for its guest. @param argv QEMU's command line */
export function rootOf([, ...words]: readonly string[]): GuestShare {
  const type = findRoot(words) === undefined ? '9p' : 'virtiofs';
  return { type, tag: rootTag(type), readOnly: true };
}

function findRoot(words: readonly string[]): VirtiofsDevice | undefined {
  return virtiofsDevices(words).find(({ tag }) => tag === VIRTIOFS_ROOT_TAG);
}

/**
 * Serves `/` as the root of a machine. Other shares over virtiofs are left out of it, since nothing serves them.
 * @param directory where QEMU and its server meet. It is removed by the caller
 */
export function withRoot([program = '', ...words]: readonly string[], directory: string): Served {
  const root = findRoot(words);
  const link = join(directory, 'root');
  // QEMU serves it itself.
  if (root === undefined) {
    symlinkSync('/', link);
    return { command: [program, ...withoutShares(words)], lastWords: () => undefined };
  }
  const share = {
    ...{ tag: root.tag, directory: link, readOnly: true, transport: 'virtiofs' as const },
    ...rootServerIn(directory, { isFlat: false, isAhead: true }),
  };
  makeRootServer(share, directory);
  const view = [
    ...[hostProgram('root-view'), ...ownPoint(), ...serverWords(share, directory, undefined)],
    ...mountPointsBelow('/').flatMap(({ path, isKernels }) => [isKernels ? '--hide' : '--show', path]),
    ...[link, '/'],
  ];
  return {
    command: [...view, program, ...withoutShares(words, { root, socket: share.socket })],
    lastWords: () => aheadServer(share)?.lastWords(),
  };
}

/** Leaves out the shares over virtiofs, but the root, whose server listens on that socket. */
function withoutShares(
  words: readonly string[],
  kept?: { readonly root: VirtiofsDevice; readonly socket: string | undefined },
): string[] {
  const others = virtiofsDevices(words).filter(({ tag }) => tag !== kept?.root.tag);
  const idIn = (value = '') => /,id=([^,]+)/.exec(value)?.[1];
  return joinOptions(
    optionsOf(words).flatMap(([option, value]) => {
      if (others.some(({ tag }) => tag === deviceOf(option, value)?.tag)) return [];
      if (option !== '-chardev') return [[option, value] as const];
      const id = idIn(value);
      if (others.some(({ chardev }) => chardev === id)) return [];
      const isRoots = kept !== undefined && id === kept.root.chardev;
      return [[option, isRoots ? `socket,id=${id},path=${optionValue(kept.socket ?? '')}` : value] as const];
    }),
  );
}
