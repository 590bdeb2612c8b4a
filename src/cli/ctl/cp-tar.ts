/** virt-sandbox-ctl cp -: a tar of standard input into a sandbox, or one out of it to standard output. */
import { posix } from 'node:path';
import { isatty } from 'node:tty';
import { connectSandbox } from '../../control/connect.js';
import type { SpawnOptions } from '../../sandbox/process/types.js';
import { SandboxError } from '../../util/errors.js';
import { usageError } from './arguments.js';
import type { TarCopy } from './copy-paths.js';
import { Execution } from './execution.js';

/**
 * The tar of the sandbox does it, as the user inside.
 * @returns the exit status
 * @throws {SandboxError} `tar-missing`, `tar-failed`, and what a connection throws
 */
export async function copyTar(
  { sandbox: name, direction, pathInside }: TarCopy,
  user: Pick<SpawnOptions, 'user'>,
): Promise<number> {
  const isInto = direction === 'extract';
  if (isatty(isInto ? 0 : 1)) throw usageError(`a terminal is no place for a tar; ${isInto ? '<FILE' : '>FILE'}`, 'cp');
  const sandbox = await connectSandbox(name);
  try {
    const command = isInto ? extractCommand(pathInside) : archiveCommand(pathInside);
    const tar = await sandbox.spawn(command, { ...user, cwd: '/' }).catch((error: unknown) => {
      throw isNotFound(error) ? missingError(name, error) : error;
    });
    const status = await new Execution(tar, { interactive: isInto, tty: false, name }).run();
    // Signals, and a reader of the output that is gone.
    if (status === 0 || status > 128) return status;
    throw failedError(name, status);
  } finally {
    await sandbox.close();
  }
}

/** What is copied in belongs to the user inside (`-o`), as with cp otherwise. */
export function extractCommand(directory: string): string[] {
  return ['tar', '-x', '-o', '-f', '-', '-C', directory];
}

/** `PATH/.` stands for what is in a directory, as with cp otherwise. */
export function archiveCommand(path: string): string[] {
  const isContent = path.endsWith('/.') || posix.normalize(path) === '/';
  const [directory, name] = isContent ? [path, '.'] : [posix.dirname(path), posix.basename(path)];
  return ['tar', '-c', '-f', '-', '-C', directory, '--', name];
}

function isNotFound(error: unknown): boolean {
  return error instanceof SandboxError && error.code === 'command-not-found';
}

function missingError(name: string, cause: unknown): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'tar-missing',
    message: `the sandbox ${name} has no tar, which cp - needs`,
    remedy: 'install it inside, or copy from or to a path: virt-sandbox-ctl cp PATH NAME:PATH',
    cause,
  });
}

function failedError(name: string, status: number): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'tar-failed',
    message: `tar failed in the sandbox ${name}: its exit status is ${status}`,
    remedy: 'see what it says above',
  });
}
