/** The contents of an initrd. The native init relies on these paths. */

import { readFile } from 'node:fs/promises';
import { isSystemError, SandboxError } from '../../util/errors.js';
import { elfMachineOf, MACHINE_X86_64 } from '../../kernel/elf.js';
import type { InputLog } from '../../util/input-log.js';
import type { LoadedModule } from '../../kmods/read.js';
import { hostProgram } from '../../util/programs.js';
import type { CpioEntry } from './cpio.js';

/** Mount points that the init needs before the root is mounted, and the directory of modules. */
const DIRECTORIES = ['dev', 'modules', 'newroot', 'proc', 'sys'] as const;

/** Path of a module in the initrd, without the leading slash. */
export function moduleEntryName(module: LoadedModule): string {
  return `modules/${module.fileName}`;
}

/** A program for the initrd. `name` is its path there, without the leading slash. */
export interface ReadProgram {
  readonly name: string;
  readonly content: Buffer;
}

/** All entries of an initrd. `modules` are in load order; `parameters` are those of modules, by name. */
export function initrdEntries(
  init: Buffer,
  modules: readonly LoadedModule[],
  programs: readonly ReadProgram[],
  parameters: ReadonlyMap<string, string>,
): CpioEntry[] {
  const order = modules.map((module) => {
    const given = parameters.get(module.name);
    return `/${moduleEntryName(module)}${given === undefined ? '' : ` ${given}`}\n`;
  });
  return [
    ...DIRECTORIES.map((name): CpioEntry => ({ type: 'directory', name, mode: 0o755 })),
    // Without /dev/console the kernel starts /init without standard streams, and the init's first message would be
    // lost.
    { type: 'character-device', name: 'dev/console', mode: 0o600, major: 5, minor: 1 },
    { type: 'file', name: 'init', mode: 0o755, content: init },
    { type: 'file', name: 'modules/order', mode: 0o644, content: Buffer.from(order.join(''), 'latin1') },
    ...parentsOf(programs).map((name): CpioEntry => ({ type: 'directory', name, mode: 0o755 })),
    ...programs.map(({ name, content }): CpioEntry => ({ type: 'file', name, mode: 0o755, content })),
    ...modules.map(
      (module): CpioEntry => ({ type: 'file', name: moduleEntryName(module), mode: 0o644, content: module.data }),
    ),
  ];
}

/** The directories of the programs, parents before children. */
function parentsOf(programs: readonly ReadProgram[]): string[] {
  const parents = programs.flatMap(({ name }) => {
    const parts = name.split('/').slice(0, -1);
    return parts.map((_, at) => parts.slice(0, at + 1).join('/'));
  });
  return [...new Set(parents)];
}

/**
 * Reads the native init.
 *
 * @throws {SandboxError} `init-missing`, `init-invalid`.
 */
export function readInit(path: string, inputs: InputLog): Promise<Buffer> {
  return readProgram('native init', path, inputs);
}

/** Programs that a set needs beside its modules. The root may lack a DHCP client, so `network` brings one. */
const PROGRAMS: Readonly<Record<string, readonly 'dhcp'[]>> = { network: ['dhcp'] };

/**
 * Reads the programs of the sets. Each is `/NAME` in the initrd, for the common init to run.
 *
 * @throws {SandboxError} `not-built`, and those of {@link readInit}
 */
export async function readPrograms(sets: readonly string[], inputs: InputLog): Promise<ReadProgram[]> {
  const names = sets.flatMap((set) => PROGRAMS[set] ?? []);
  return Promise.all(
    names.map(async (name) => ({ name, content: await readProgram(`program ${name}`, hostProgram(name), inputs) })),
  );
}

/**
 * Reads a program of this package for the initrd.
 *
 * @param title Its name in an error.
 * @throws {SandboxError} `init-missing`, `init-invalid`.
 */
async function readProgram(title: string, path: string, inputs: InputLog): Promise<Buffer> {
  inputs.note(path);
  const initError = (code: string, message: string, cause?: unknown): SandboxError =>
    new SandboxError({ stage: 'image', code, message, remedy: "build it with 'make build'", cause });
  let data: Buffer;
  try {
    data = await readFile(path);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw initError('init-missing', `${title} ${path} cannot be read (${error.code})`, error);
  }
  const kind = elfMachineOf(data);
  if (kind?.machine !== MACHINE_X86_64 || !kind.is64) {
    throw initError('init-invalid', `${title} ${path} is not an x86_64 program`);
  }
  return data;
}
