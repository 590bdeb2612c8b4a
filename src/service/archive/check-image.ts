/**
 * Looks whether an image that somebody else has made is one file in qcow2 and nothing else: no backing file, no file with
 * the data, no key, no snapshot. The header is read here before QEMU reads it. The image is not written anew: where each
 * cluster is used once, as `qemu-img check` finds, it has no more than its own bytes, while a copy of it could be larger
 * by any factor.
 */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { furtherFile } from '../../disk-image/stands-alone.js';
import { findInPath } from '../../util/programs.js';
import { optionValue } from '../../util/qemu-options.js';
import { isRecord, parseJson } from '../../util/records.js';
import { toolMissing } from '../clone/errors.js';
import { abortedError } from '../errors.js';
import { memberRefused, notAnArchive } from './errors.js';

/** QEMU's docs/interop/qcow2.rst */
const HEADER_BYTES = 104;
const CRYPT_METHOD = 32;
const SNAPSHOTS = 60;
const INCOMPATIBLE_FEATURES = 72;
/** Clusters packed in another way than with zlib, and parts of clusters. */
const KNOWN_FEATURES = (1n << 3n) | (1n << 4n);

/** Bytes that a guest sees. */
const MOST_VIRTUAL_BYTES = 64 * 2 ** 40;

/** What a damaged image may cost: of memory in bytes, of a processor in seconds. */
const BOUNDS = ['--as=4294967296', '--cpu=1800', '--core=0'];

/** qemu-img(1), "check": nothing wrong, and clusters that nothing uses, as of a machine that was killed. */
const SOUND = [0, 3];

/** Milliseconds that QEMU may look at an image, also where the disk is slow. */
const MOST_MS = 3_600_000;

export interface ImageCheck {
  readonly archive: string;
  /** Whose state it is to be. */
  readonly name: string;
  readonly signal?: AbortSignal | undefined;
}

/** @throws {SandboxError} `service-archive-refused`, `service-archive-invalid`, `tool-missing`, `aborted` */
export async function checkImage(path: string, { archive, name, signal }: ImageCheck): Promise<void> {
  const refuse = (why: string) => {
    throw memberRefused(archive, `has an image with ${why}`);
  };
  const further = furtherFile({ source: path, format: 'qcow2' });
  if (further !== undefined) refuse(further);
  const header = headerOf(path);
  if (header.length < HEADER_BYTES) throw notAnArchive(archive, 'has an image that is cut off');
  if (header.readUInt32BE(CRYPT_METHOD) !== 0) refuse('a key of its own');
  if (header.readUInt32BE(SNAPSHOTS) !== 0) refuse('snapshots');
  const version = header.readUInt32BE(4);
  if (version !== 2 && version !== 3) refuse(`the version ${version}`);
  const features = version === 2 ? 0n : header.readBigUInt64BE(INCOMPATIBLE_FEATURES);
  if ((features & ~KNOWN_FEATURES) !== 0n) refuse(`features that are not known, 0x${features.toString(16)}`);
  const run = async (...words: readonly string[]) => {
    const result = await qemuImg(words, path, signal);
    if (signal?.aborted) throw abortedError(name);
    return result;
  };
  const { exitCode, stdout } = await run('info', '-U', '--output=json');
  const info = exitCode === 0 ? parseJson(stdout) : undefined;
  if (!isRecord(info) || info['format'] !== 'qcow2')
    throw notAnArchive(archive, 'has an image that QEMU does not read');
  const named = Object.keys(info).find((key) => /backing|encrypt|snapshots/.test(key) && info[key] !== false);
  if (named !== undefined) refuse(named);
  const size = info['virtual-size'];
  if (typeof size !== 'number' || size > MOST_VIRTUAL_BYTES) refuse('a size that is too large');
  const checked = await run('check');
  if (!SOUND.includes(checked.exitCode ?? -1))
    throw notAnArchive(archive, `has an image that is damaged: ${checked.stdout.trim().split('\n')[0]}`);
}

function headerOf(path: string): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    return header.subarray(0, readSync(fd, header, 0, HEADER_BYTES, 0));
  } finally {
    closeSync(fd);
  }
}

async function qemuImg(
  words: readonly string[],
  path: string,
  cancelSignal: AbortSignal | undefined,
): Promise<{ exitCode: number | undefined; stdout: string }> {
  for (const [name, debianPackage] of [
    ['qemu-img', 'qemu-utils'],
    ['prlimit', 'util-linux'],
    ['setpriv', 'util-linux'],
  ] as const)
    if (findInPath(name) === undefined) throw toolMissing(name, 'images are checked', debianPackage);
  const { execa } = await import('execa');
  // A path with a colon in front of the first slash would name a protocol.
  const options = `driver=qcow2,file.driver=file,file.filename=${optionValue(path)}`;
  const bounded = ['--pdeathsig', 'KILL', '--', 'prlimit', ...BOUNDS, '--', 'qemu-img'];
  const { exitCode, stdout } = await execa('setpriv', [...bounded, ...words, '--image-opts', options], {
    reject: false,
    stdin: 'ignore',
    stderr: 'ignore',
    maxBuffer: 1 << 20,
    timeout: MOST_MS,
    forceKillAfterDelay: 1000,
    ...(cancelSignal && { cancelSignal }),
    env: { LC_ALL: 'C' },
  });
  return { exitCode, stdout };
}
