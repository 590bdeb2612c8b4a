/** A kernel's build configuration, from a file of the distribution or from inside the kernel (CONFIG_IKCONFIG). */

import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { unpack } from '../compression/formats.js';
import { isSystemError } from '../util/errors.js';
import type { InputLog } from '../util/input-log.js';
import type { KernelChoice } from './choose.js';
import type { SparseFile } from './slim.js';

/** The gzip data in the kernel are between these marks: kernel/configs.c. */
const IKCONFIG_START = 'IKCFG_ST';
const IKCONFIG_END = 'IKCFG_ED';
/** Most bytes of a configuration; a real one has about 300 KB. */
const CONFIG_LIMIT = 16 << 20;

export interface BuildConfig {
  /** Where the configuration was found, for messages. */
  readonly source: string;
  /** True for `option=y`. What runs before the first module is loaded must be built in. */
  hasBuiltIn(option: string): boolean;
}

/**
 * Reads a kernel's configuration from config-VERSION beside the kernel, `config` in its module tree, or the kernel
 * itself, in this order.
 *
 * @param boot Gives the unpacked kernel. Called only if neither file exists.
 * @param inputs Told of the files before they are read.
 * @returns undefined if there is no configuration.
 */
export async function readBuildConfig(
  choice: KernelChoice,
  boot: () => Promise<SparseFile>,
  inputs: InputLog,
): Promise<BuildConfig | undefined> {
  const files = [join(dirname(choice.file.path), `config-${choice.version}`), join(choice.modulesDirectory, 'config')];
  for (const path of files) {
    inputs.note(path);
    const text = await readFile(path, 'latin1').catch((error: unknown) => {
      if (isSystemError(error)) return undefined;
      throw error;
    });
    if (text !== undefined) return configOf(text, path);
  }
  const text = await embeddedConfig(await boot());
  return text === undefined ? undefined : configOf(text, `the configuration inside ${choice.file.path}`);
}

function configOf(text: string, source: string): BuildConfig {
  const lines = new Set(text.split('\n'));
  return { source, hasBuiltIn: (option) => lines.has(`${option}=y`) };
}

/** The configuration that CONFIG_IKCONFIG stores in the kernel's read-only data. */
async function embeddedConfig(kernel: SparseFile): Promise<string | undefined> {
  for (const { data } of kernel.chunks) {
    const start = data.indexOf(IKCONFIG_START);
    const end = start < 0 ? -1 : data.indexOf(IKCONFIG_END, start);
    if (end < 0) continue;
    const packed = data.subarray(start + IKCONFIG_START.length, end);
    return unpack(packed, 'gzip', undefined, CONFIG_LIMIT).then(
      (text) => text.toString('latin1'),
      () => undefined,
    );
  }
  return undefined;
}
