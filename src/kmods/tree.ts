/**
 * Reads a module tree: the directory with the modules of one kernel version, and the index that depmod writes there.
 */

import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { isSystemError, SandboxError } from '../util/errors.js';
import type { InputLog } from '../util/input-log.js';
import { lastUnlisted } from './modules-order.js';
import { normalizeName } from './names.js';
import {
  type AliasTable,
  LineError,
  type ModuleFile,
  parseAliases,
  parseBuiltin,
  parseBuiltinAliases,
  parseDependencies,
  parseSoftDependencies,
  parseWeakDependencies,
  type SoftDependencies,
} from './parse.js';

/** Whether a kernel has a module, and how. */
export type ModuleState = 'built-in' | 'module' | 'absent';

/** A module tree with its index. Maps are by normalized name. */
export interface ModuleTree {
  /** Version of its kernel. */
  readonly version: string;
  readonly directory: string;
  readonly modules: ReadonlyMap<string, ModuleFile>;
  readonly builtin: ReadonlySet<string>;
  readonly soft: ReadonlyMap<string, SoftDependencies>;
  readonly weak: ReadonlyMap<string, readonly string[]>;
  /** Aliases of built-in modules; read on the first call. */
  builtinAliases(): Promise<AliasTable>;
  /** Aliases of module files; read on the first call, since modules.alias is by far the largest file. */
  aliases(): Promise<AliasTable>;
}

/** Content of a tree's index file; undefined if it does not exist. */
async function readIndex(directory: string, name: string, inputs: InputLog): Promise<string | undefined> {
  const path = join(directory, name);
  inputs.note(path);
  try {
    return await readFile(path, 'latin1');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    if (!isSystemError(error)) throw error;
    throw new SandboxError({
      stage: 'modules',
      code: 'modules-unreadable',
      message: `${path} cannot be read (${error.code})`,
      remedy: 'make the module tree readable, or name another one with --kmodpath',
      cause: error,
    });
  }
}

/** Calls `work` once, and returns its result every time. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => {
    answer ??= work();
    return answer;
  };
}

function required(text: string | undefined, directory: string, name: string, version: string): string {
  if (text !== undefined) return text;
  throw new SandboxError({
    stage: 'modules',
    code: 'modules-not-indexed',
    message: `module tree ${directory} has no ${name}`,
    remedy: `install the modules of kernel ${version} again, or run 'depmod ${version}' as root`,
  });
}

/**
 * Reads the index of a module tree.
 *
 * @param version Version of its kernel.
 * @param inputs Told of every file that is read.
 * @throws {SandboxError} `modules-not-indexed`, `modules-unreadable`, `modules-dep-corrupt`
 */
export async function readModuleTree(directory: string, version: string, inputs: InputLog): Promise<ModuleTree> {
  const [dep, builtin, softdep, weakdep, order] = await Promise.all(
    ['modules.dep', 'modules.builtin', 'modules.softdep', 'modules.weakdep', 'modules.order'].map((name) =>
      readIndex(directory, name, inputs),
    ),
  );
  const modules = parseDep(required(dep, directory, 'modules.dep', version), directory, version);
  const unlisted = order === undefined ? undefined : await lastUnlisted(directory, order, modules);
  if (unlisted !== undefined) {
    throw depError(directory, version, `it ends before ${unlisted}, which is there`);
  }
  return {
    version,
    directory,
    modules,
    builtin: parseBuiltin(required(builtin, directory, 'modules.builtin', version)),
    soft: parseSoftDependencies(softdep ?? ''),
    weak: parseWeakDependencies(weakdep ?? ''),
    builtinAliases: once(async () =>
      parseBuiltinAliases((await readIndex(directory, 'modules.builtin.modinfo', inputs)) ?? ''),
    ),
    aliases: once(async () => parseAliases((await readIndex(directory, 'modules.alias', inputs)) ?? '')),
  };
}

function parseDep(text: string, directory: string, version: string): Map<string, ModuleFile> {
  try {
    return parseDependencies(text);
  } catch (error) {
    if (!(error instanceof LineError)) throw error;
    throw depError(directory, version, error.message, error);
  }
}

function depError(directory: string, version: string, why: string, cause?: unknown): SandboxError {
  return new SandboxError({
    stage: 'modules',
    code: 'modules-dep-corrupt',
    message: `${join(directory, 'modules.dep')} is corrupt: ${why}`,
    remedy: `run 'depmod ${version}' as root to write it anew`,
    cause,
  });
}

/** State of the module `name`. */
export function stateOf(tree: ModuleTree, name: string): ModuleState {
  const normalized = normalizeName(name);
  if (tree.builtin.has(normalized)) return 'built-in';
  return tree.modules.has(normalized) ? 'module' : 'absent';
}

/** Path of a module's file. */
export function pathOf(tree: ModuleTree, module: ModuleFile): string {
  return isAbsolute(module.path) ? module.path : join(tree.directory, module.path);
}
