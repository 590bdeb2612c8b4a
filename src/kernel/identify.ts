/** Identifies a kernel file by its content, never by its name. */

import type { Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { UNPACKED_LIMIT } from '../compression/types.js';
import { isSystemError, SandboxError } from '../util/errors.js';
import { elfMachineOf, MACHINE_X86_64, segmentsEnd, segmentsOf } from './elf.js';
import { foreignArchitectureOf, HEADER_LENGTH, parseBzImage } from './header.js';

/** A kernel file that can be booted. Sizes are in bytes. */
export interface KernelFile {
  readonly path: string;
  /** What `uname -r` says when it runs. */
  readonly version: string;
  readonly format: 'bzimage' | 'elf';
  /** How much of the file booting needs: an ELF file without its debug information. */
  readonly size: number;
  /** The packed kernel in a bzImage; undefined for an ELF file, and for headers older than protocol 2.08. */
  readonly payload: { readonly offset: number; readonly length: number } | undefined;
}

const NOT_A_KERNEL = 'name a kernel image such as /boot/vmlinuz-VERSION with --kernpath';

function kernelError(code: string, message: string, remedy: string, cause?: unknown): SandboxError {
  return new SandboxError({ stage: 'kernel', code, message, remedy, cause });
}

const truncated = (path: string): SandboxError =>
  kernelError('kernel-truncated', `kernel ${path} is truncated`, 'install its package again, or copy the file again');

/** Turns an error from opening or reading the file into one that names the file. */
function accessError(path: string, error: unknown): unknown {
  if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ENOTDIR')) {
    return kernelError('kernel-not-found', `kernel ${path} does not exist`, NOT_A_KERNEL, error);
  }
  if (isSystemError(error, 'EACCES') || isSystemError(error, 'EPERM')) {
    return kernelError(
      'kernel-unreadable',
      `kernel ${path} may not be read by this user`,
      `make it readable with 'sudo chmod a+r ${path}', or name a copy that is readable with --kernpath`,
      error,
    );
  }
  if (!isSystemError(error)) return error;
  return kernelError('kernel-unreadable', `kernel ${path} cannot be read (${error.code})`, NOT_A_KERNEL, error);
}

/** Reads `length` bytes at `position`; fewer if the file ends before. */
export async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const data = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(data, done, length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return data.subarray(0, done);
}

/**
 * Opens a kernel file, runs `use`, and closes the file.
 *
 * @throws {SandboxError} `kernel-not-found`, `kernel-unreadable`, `kernel-not-a-kernel`
 */
export async function withKernelFile<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  let file: FileHandle | undefined;
  try {
    // Before opening: a named pipe would wait for a writer, and opening a device may have effects.
    requireRegularFile(path, await stat(path));
    file = await open(path);
    return await use(file);
  } catch (error) {
    throw accessError(path, error);
  } finally {
    await file?.close();
  }
}

function requireRegularFile(path: string, found: Stats): void {
  if (found.isFile()) return;
  const what = found.isDirectory() ? 'a directory, not a kernel' : 'not a regular file';
  throw kernelError('kernel-not-a-kernel', `${path} is ${what}`, NOT_A_KERNEL);
}

/**
 * Finds the format and the version of the kernel at `path`.
 *
 * @throws {SandboxError} `kernel-not-found`, `kernel-unreadable`, `kernel-truncated`, `kernel-not-a-kernel`,
 *   `kernel-architecture`
 */
export async function identifyKernel(path: string): Promise<KernelFile> {
  return withKernelFile(path, async (file) => {
    const { size } = await file.stat();
    const beginning = await readAt(file, 0, Math.min(HEADER_LENGTH, size));
    return (
      identifyBzImage(path, beginning, size) ??
      (await identifyElf(path, beginning, size, file)) ??
      rejectOther(path, beginning)
    );
  });
}

/** What is read into memory is bounded: a sparse file has any size at no cost. */
function requireKernelSize(path: string, size: number): void {
  if (size <= UNPACKED_LIMIT) return;
  throw kernelError('kernel-not-a-kernel', `${path} has ${size} bytes, which is too large for a kernel`, NOT_A_KERNEL);
}

function identifyBzImage(path: string, beginning: Buffer, size: number): KernelFile | undefined {
  const header = parseBzImage(beginning);
  if (header === undefined) return undefined;
  requireKernelSize(path, size);
  if (size < header.size || size < (header.payload?.offset ?? 0) + (header.payload?.length ?? 0)) throw truncated(path);
  if (!header.is64) throw wrongArchitecture(path, 'i386');
  if (header.version === undefined) {
    throw kernelError('kernel-not-a-kernel', `kernel ${path} has no version in its header`, NOT_A_KERNEL);
  }
  return { path, version: header.version, format: 'bzimage', size, payload: header.payload };
}

async function identifyElf(
  path: string,
  beginning: Buffer,
  size: number,
  file: FileHandle,
): Promise<KernelFile | undefined> {
  const kind = elfMachineOf(beginning);
  if (kind === undefined) return undefined;
  if (kind.machine !== MACHINE_X86_64 || !kind.is64) throw wrongArchitecture(path, kind.name);
  const end = elfEnd(path, beginning);
  if (end > size) throw truncated(path);
  requireKernelSize(path, end);
  const version = await findBanner(file, end);
  if (version === undefined) {
    throw kernelError('kernel-not-a-kernel', `${path} is an ELF file but not a Linux kernel`, NOT_A_KERNEL);
  }
  return { path, version, format: 'elf', size: end, payload: undefined };
}

function elfEnd(path: string, beginning: Buffer): number {
  try {
    return segmentsEnd(segmentsOf(beginning));
  } catch (error) {
    throw kernelError('kernel-not-a-kernel', `${path} is an ELF file but not a Linux kernel`, NOT_A_KERNEL, error);
  }
}

/** Searches the first `end` bytes for the first line that every kernel prints. Returns the version in it. */
async function findBanner(file: FileHandle, end: number): Promise<string | undefined> {
  const step = 8 << 20;
  // Pieces overlap, so that a banner that spans two of them is found.
  const overlap = 256;
  for (let at = 0; at < end; at += step) {
    const data = await readAt(file, at, Math.min(step + overlap, end - at));
    for (let found = data.indexOf('Linux version '); found >= 0; found = data.indexOf('Linux version ', found + 1)) {
      const version = /^Linux version (\d[\w.+~-]*) \(/.exec(data.toString('latin1', found, found + overlap))?.[1];
      if (version !== undefined) return version;
    }
  }
  return undefined;
}

function wrongArchitecture(path: string, name: string): SandboxError {
  return kernelError(
    'kernel-architecture',
    `kernel ${path} is for ${name}, and only x86_64 is supported`,
    'name a kernel for x86_64 with --kernpath',
  );
}

function rejectOther(path: string, beginning: Buffer): never {
  const foreign = foreignArchitectureOf(beginning);
  if (foreign !== undefined) throw wrongArchitecture(path, foreign);
  throw kernelError('kernel-not-a-kernel', `${path} is not a Linux kernel`, NOT_A_KERNEL);
}
