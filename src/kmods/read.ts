/** Reads modules into memory, unpacked and unchanged, so that their signatures stay valid. */

import { readFile } from 'node:fs/promises';
import { fileFormatOf, unpack } from '../compression/formats.js';
import { isElf } from '../kernel/elf.js';
import { isSystemError, messageOf, SandboxError } from '../util/errors.js';
import type { InputLog } from '../util/input-log.js';
import { moduleFileName } from './names.js';
import type { ModuleFile } from './parse.js';
import { type ModuleTree, pathOf } from './tree.js';

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
async function readModule(tree: ModuleTree, module: ModuleFile, inputs: InputLog): Promise<LoadedModule> {
  const path = pathOf(tree, module);
  inputs.note(path);
  const data = await unpackModule(path, await readPacked(path, tree.version), tree.version);
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
    return await readFile(path);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    if (error.code === 'ENOENT') {
      throw moduleError('module-missing', `module ${path} is in modules.dep but does not exist`, version, error);
    }
    throw moduleError('module-unreadable', `module ${path} cannot be read (${error.code})`, version, error);
  }
}

async function unpackModule(path: string, packed: Buffer, version: string): Promise<Buffer> {
  try {
    const data = isElf(packed) ? packed : await unpackPacked(packed);
    if (!isWholeElf(data)) throw new Error('it ends before its last section');
    return data;
  } catch (error) {
    if (error instanceof SandboxError) throw error;
    throw moduleError('module-damaged', `module ${path} is damaged or truncated (${messageOf(error)})`, version, error);
  }
}

async function unpackPacked(packed: Buffer): Promise<Buffer> {
  const format = fileFormatOf(packed);
  if (format === undefined) throw new Error('it is neither ELF nor gzip, xz or zstd');
  return unpack(packed, format);
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
): Promise<LoadedModule[]> {
  return Promise.all(modules.map((module) => readModule(tree, module, inputs)));
}
