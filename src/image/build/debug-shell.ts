/** A shell in the initrd, for a start that is stopped before the root is mounted. */
import { readFile } from 'node:fs/promises';
import { isSystemError, SandboxError } from '../../util/errors.js';
import { elfMachineOf, MACHINE_X86_64, SEGMENT_INTERPRETER, segmentsOf } from '../../kernel/elf.js';
import type { InputLog } from '../../util/input-log.js';
import { findInPath } from '../../util/programs.js';
import type { CpioEntry } from './cpio.js';

/**
 * Entries of an initrd with the host's busybox, which has the usual programs.
 * @throws {SandboxError} `debug-shell-missing`
 */
export async function debugShellEntries(inputs: InputLog): Promise<CpioEntry[]> {
  const path = findInPath('busybox');
  const missing = (message: string, cause?: unknown): SandboxError =>
    new SandboxError({
      stage: 'image',
      code: 'debug-shell-missing',
      message: `a shell before the root is mounted needs a static busybox, but ${message}`,
      remedy: 'install it (Debian: busybox-static; Fedora: busybox), or stop before a later step',
      cause,
    });
  if (path === undefined) throw missing('there is none in PATH');
  inputs.note(path);
  let content: Buffer;
  try {
    content = await readFile(path);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw missing(`${path} cannot be read (${error.code})`, error);
  }
  if (elfMachineOf(content)?.machine !== MACHINE_X86_64) throw missing(`${path} is not an x86_64 program`);
  if (segmentsOf(content).some(({ type }) => type === SEGMENT_INTERPRETER)) throw missing(`${path} needs libraries`);
  return [
    { type: 'directory', name: 'bin', mode: 0o755 },
    { type: 'file', name: 'bin/busybox', mode: 0o755, content },
  ];
}
