/**
 * How a kernel was built: its configuration, from where distributions keep it or from the kernel itself (CONFIG_IKCONFIG).
 */

import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { isSystemError } from '../util/errors.js';
import type { InputLog } from '../util/input-log.js';
import type { KernelChoice } from './find.js';
import type { SparseFile } from './slim.js';

/** Marks around the gzip data in the kernel: kernel/configs.c. */
const IKCONFIG_START = 'IKCFG_ST';
const IKCONFIG_END = 'IKCFG_ED';
/** A configuration has about 300 KB. */
const CONFIG_LIMIT = 16 << 20;

export interface BuildConfig {
  /** Where it was found, for a message. */
  readonly source: string;
  /** True when the option is built in (`=y`), which is what anything needs that runs before a module can be loaded. */
  hasBuiltIn(option: string): boolean;
}

/**
 * Reads a kernel's configuration: config-VERSION beside the kernel, `config` in its module tree, else what the kernel has in
 * itself.
 *
 * @param boot The unpacked kernel; asked for when there is no file.
 * @returns undefined when there is none anywhere.
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

/** The configuration that CONFIG_IKCONFIG puts into the kernel's read-only data. */
async function embeddedConfig(kernel: SparseFile): Promise<string | undefined> {
  for (const { data } of kernel.chunks) {
    const start = data.indexOf(IKCONFIG_START);
    const end = start < 0 ? -1 : data.indexOf(IKCONFIG_END, start);
    if (end < 0) continue;
    const packed = data.subarray(start + IKCONFIG_START.length, end);
    return promisify(gunzip)(packed, { maxOutputLength: CONFIG_LIMIT }).then(
      (text) => text.toString('latin1'),
      () => undefined,
    );
  }
  return undefined;
}
