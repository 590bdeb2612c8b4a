/** Reads module sets. kmods/NAME.json lists the features of a set and the modules that each feature needs. */

import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isSystemError, messageOf, SandboxError } from '../util/errors.js';
import type { InputLog } from '../util/input-log.js';

/** An ability of the kernel. */
export interface Feature {
  /** For the sentence "kernel X has no TITLE": `9p file system`. */
  readonly title: string;
  /** All modules that it needs. */
  readonly modules: readonly string[];
  /** Parameters of modules, by name: `first=1 second=2`. */
  readonly parameters?: Readonly<Record<string, string>> | undefined;
  /** False: the set is still of use without it. */
  readonly required: boolean;
  /** Build option of the kernel (CONFIG_…), for the remedy. */
  readonly option: string;
}

/** A set of features. */
export interface ModuleSet {
  readonly name: string;
  readonly title: string;
  readonly features: readonly Feature[];
}

/**
 * Directory of the package's own sets: the nearest `kmods/` above this code, which may run from source, build or
 * bundle.
 */
export function defaultSetsDirectory(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let directory = start; ; directory = dirname(directory)) {
    const candidate = join(directory, 'kmods');
    if (existsSync(join(candidate, 'root-9p.json'))) return candidate;
    if (dirname(directory) === directory) return join(start, 'kmods');
  }
}

function setError(code: string, message: string, remedy: string, cause?: unknown): SandboxError {
  return new SandboxError({ stage: 'modules', code, message, remedy, cause });
}

/**
 * Reads the sets `names` from `directory`.
 *
 * @param inputs Told of every file that is read.
 * @throws {SandboxError} `set-unknown`, `set-invalid`
 */
export async function readSets(directory: string, names: readonly string[], inputs: InputLog): Promise<ModuleSet[]> {
  return Promise.all(names.map((name) => readSet(directory, name, inputs)));
}

async function readSet(directory: string, name: string, inputs: InputLog): Promise<ModuleSet> {
  const path = join(directory, `${name}.json`);
  if (!/^[a-z0-9-]+$/.test(name)) throw await unknownSet(directory, name);
  inputs.note(path);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) throw await unknownSet(directory, name);
    throw error;
  }
  const { parseSet } = await import('./set-schema.js');
  try {
    return { name, ...parseSet(JSON.parse(text)) };
  } catch (error) {
    throw setError('set-invalid', `module set ${path} is not valid: ${messageOf(error)}`, 'correct it', error);
  }
}

async function unknownSet(directory: string, name: string): Promise<SandboxError> {
  const files = await readdir(directory).catch(() => []);
  const known = files.filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -'.json'.length));
  return setError('set-unknown', `there is no module set '${name}'`, `use one of ${known.sort().join(', ')}`);
}
