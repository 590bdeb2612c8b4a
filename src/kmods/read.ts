/**
 * Modules as the kernel takes them: unpacked, and byte for byte what was signed.
 */

import { readFile } from 'node:fs/promises';
import { compressionOf, unpack } from '../compression/unpack.js';
import { isSystemError, messageOf, SandboxError } from '../util/errors.js';
import type { InputLog } from '../util/input-log.js';
import { moduleFileName } from './names.js';
import type { ModuleFile } from './parse.js';
import { type ModuleTree, pathOf } from './tree.js';

/** A module in memory. */
export interface LoadedModule {
  readonly name: string;
  /** NAME.ko, without a compression's ending. */
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

/** e_shoff, e_shentsize and e_shnum of an ELF64 header: a module's section headers are the last part of the file. */
function isWholeElf(data: Buffer): boolean {
  if (data.length < 64 || compressionOf(data) !== 'none') return false;
  return Number(data.readBigUInt64LE(40)) + data.readUInt16LE(58) * data.readUInt16LE(60) <= data.length;
}

/** The kernel release that a module was built for, from its `vermagic`; undefined when it has none. */
function builtFor(data: Buffer): string | undefined {
  const start = data.indexOf('\0vermagic=');
  if (start < 0) return undefined;
  return data.toString('latin1', start + 10, start + 10 + 128).split(/[ \0]/)[0];
}

/** Reads and unpacks one module, and checks that it is whole and made for this kernel. */
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
      throw moduleError('module-missing', `module ${path} is in modules.dep but not there`, version, error);
    }
    throw moduleError('module-unreadable', `module ${path} cannot be read (${error.code})`, version, error);
  }
}

async function unpackModule(path: string, packed: Buffer, version: string): Promise<Buffer> {
  const compression = compressionOf(packed);
  let data: Buffer;
  try {
    if (compression === undefined) throw new Error('it is neither ELF nor gzip, xz or zstd');
    data = await unpack(packed, compression);
    if (!isWholeElf(data)) throw new Error('it ends before its last section');
  } catch (error) {
    if (error instanceof SandboxError) throw error;
    throw moduleError('module-damaged', `module ${path} is damaged or truncated (${messageOf(error)})`, version, error);
  }
  return data;
}

/**
 * Reads modules in parallel; the result keeps the given order.
 *
 * @param inputs Told of every file that is read.
 * @throws {SandboxError} `module-missing`, `module-unreadable`, `module-damaged`, `modules-other-version`.
 */
export async function readModules(
  tree: ModuleTree,
  modules: readonly ModuleFile[],
  inputs: InputLog,
): Promise<LoadedModule[]> {
  return Promise.all(modules.map((module) => readModule(tree, module, inputs)));
}
