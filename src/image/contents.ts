/**
 * What an initrd holds. The native init relies on these paths.
 */

import { readFile } from 'node:fs/promises';
import { isSystemError, SandboxError } from '../errors.js';
import { elfMachineOf, MACHINE_X86_64 } from '../kernel/elf.js';
import type { InputLog } from '../kernel/inputs.js';
import type { LoadedModule } from '../kmods/read.js';
import type { CpioEntry } from './cpio.js';

/** Mount points that the init needs before anything is mounted, and where modules are. */
const DIRECTORIES = ['dev', 'modules', 'newroot', 'proc', 'sys'] as const;

/** Path of a module in the initrd, without the leading slash. */
export function moduleEntryName(module: LoadedModule): string {
  return `modules/${module.fileName}`;
}

/** The entries of an initrd; `modules` are in load order. */
export function initrdEntries(init: Buffer, modules: readonly LoadedModule[]): CpioEntry[] {
  const order = modules.map((module) => `/${moduleEntryName(module)}\n`).join('');
  return [
    ...DIRECTORIES.map((name): CpioEntry => ({ type: 'directory', name, mode: 0o755 })),
    // Without it the kernel starts /init with no standard streams at all, and its first message would be lost.
    { type: 'character-device', name: 'dev/console', mode: 0o600, major: 5, minor: 1 },
    { type: 'file', name: 'init', mode: 0o755, content: init },
    { type: 'file', name: 'modules/order', mode: 0o644, content: Buffer.from(order, 'latin1') },
    ...modules.map(
      (module): CpioEntry => ({ type: 'file', name: moduleEntryName(module), mode: 0o644, content: module.data }),
    ),
  ];
}

/**
 * Reads the native init.
 *
 * @throws {SandboxError} `init-missing`, `init-invalid`.
 */
export async function readInit(path: string, inputs: InputLog): Promise<Buffer> {
  inputs.note(path);
  const initError = (code: string, message: string, cause?: unknown): SandboxError =>
    new SandboxError({ stage: 'image', code, message, remedy: "build it with 'make build'", cause });
  let data: Buffer;
  try {
    data = await readFile(path);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw initError('init-missing', `native init ${path} cannot be read (${error.code})`, error);
  }
  const kind = elfMachineOf(data);
  if (kind?.machine !== MACHINE_X86_64 || !kind.is64) {
    throw initError('init-invalid', `native init ${path} is not an x86_64 program`);
  }
  return data;
}
