/** Reads modules into memory, unpacked and unchanged, so that their signatures stay valid. */

import { readFile, stat } from 'node:fs/promises';
import { fileFormatOf, unpack } from '../compression/formats.js';
import { UNPACKED_LIMIT } from '../compression/types.js';
import { isElf } from '../kernel/elf.js';
import { isSystemError, messageOf, SandboxError } from '../util/errors.js';
import type { InputLog } from '../util/input-log.js';
import { moduleFileName } from './names.js';
import type { ModuleFile } from './parse.js';
import { type ModuleTree, pathOf } from './tree.js';

/** Most bytes. */
interface Limits {
  /** Of one module: the largest, with debug information, have some hundred MB. */
  readonly each: number;
  /** Of all modules that are read together, apart from those that are being unpacked. */
  readonly together: number;
}

const LIMITS: Limits = { each: 512 << 20, together: UNPACKED_LIMIT };
/** How many are unpacked at a time: as many as libuv has threads. */
const AT_A_TIME = 4;

/** A module in memory. */
export interface LoadedModule {
  readonly name: string;
  /** NAME.ko, without the ending of a compression. */
  readonly fileName: string;
  readonly data: Buffer;
}

function moduleError(code: string, message: string, version: string, cause?: unknown): SandboxError {
  return new SandboxError({
    stage: 'modules',
    code,
    message,
    remedy: `install the modules of kernel ${version} again`,
    cause,
  });
}

/**
 * Checks e_shoff, e_shentsize and e_shnum: a module's section headers are the last part of its file, apart from the
 * signature.
 */
function isWholeElf(data: Buffer): boolean {
  if (data.length < 64 || !isElf(data)) return false;
  return Number(data.readBigUInt64LE(40)) + data.readUInt16LE(58) * data.readUInt16LE(60) <= data.length;
}

/** Release of the kernel that a module was built for, from its `vermagic`; undefined if it has none. */
function builtFor(data: Buffer): string | undefined {
  const start = data.indexOf('\0vermagic=');
  if (start < 0) return undefined;
  return data.toString('latin1', start + 10, start + 10 + 128).split(/[ \0]/)[0];
}

/** Reads and unpacks one module. Checks that it is complete and was built for this kernel. */
async function readModule(
  tree: ModuleTree,
  module: ModuleFile,
  inputs: InputLog,
  limit: number,
): Promise<LoadedModule> {
  const path = pathOf(tree, module);
  inputs.note(path);
  const data = await unpackModule(path, await readPacked(path, tree.version), tree.version, limit);
  const release = builtFor(data);
  if (release !== undefined && release !== tree.version) {
    throw moduleError(
      'modules-other-version',
      `module ${path} was built for kernel ${release}, not for ${tree.version}`,
      tree.version,
    );
  }
  return { name: module.name, fileName: moduleFileName(path), data };
}

async function readPacked(path: string, version: string): Promise<Buffer> {
  try {
    // A sparse file has any size at no cost.
    const { size } = await stat(path);
    if (size > LIMITS.each) throw damaged(path, new Error(`it has ${size} bytes`), version);
    return await readFile(path);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    if (error.code === 'ENOENT') {
      throw moduleError('module-missing', `module ${path} is in modules.dep but does not exist`, version, error);
    }
    throw moduleError('module-unreadable', `module ${path} cannot be read (${error.code})`, version, error);
  }
}

function damaged(path: string, reason: unknown, version: string): SandboxError {
  const message = `module ${path} is damaged or truncated (${messageOf(reason)})`;
  return moduleError('module-damaged', message, version, reason);
}

async function unpackModule(path: string, packed: Buffer, version: string, limit: number): Promise<Buffer> {
  try {
    const data = isElf(packed) ? packed : await unpackPacked(packed, limit);
    if (data.length > limit) throw new Error(`it has more than ${limit} bytes`);
    if (!isWholeElf(data)) throw new Error('it ends before its last section');
    return data;
  } catch (error) {
    throw error instanceof SandboxError ? error : damaged(path, error, version);
  }
}

async function unpackPacked(packed: Buffer, limit: number): Promise<Buffer> {
  const format = fileFormatOf(packed);
  if (format === undefined) throw new Error('it is neither ELF nor gzip, xz or zstd');
  return unpack(packed, format, undefined, limit);
}

/**
 * Reads modules in parallel. The result has the order of `modules`.
 *
 * @param inputs Told of every file that is read.
 * @throws {SandboxError} `module-missing`, `module-unreadable`, `module-damaged`, `modules-other-version`
 */
export async function readModules(
  tree: ModuleTree,
  modules: readonly ModuleFile[],
  inputs: InputLog,
  { each, together } = LIMITS,
): Promise<LoadedModule[]> {
  let left = together;
  let failed = false;
  const loaded: LoadedModule[] = [];
  const waiting = modules.entries();
  const readNext = async (at: number, module: ModuleFile): Promise<void> => {
    const read = await readModule(tree, module, inputs, each);
    left -= read.data.length;
    loaded[at] = read;
    if (left < 0) {
      throw moduleError(
        'module-damaged',
        `the ${modules.length} modules have more than ${together} bytes`,
        tree.version,
      );
    }
  };
  // All of these take from one iterator, until one fails.
  const work = async (): Promise<void> => {
    for (const [at, module] of waiting) {
      if (failed) return;
      await readNext(at, module).catch((error: unknown) => {
        failed = true;
        throw error;
      });
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  return loaded;
}
