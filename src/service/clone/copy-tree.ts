/**
 * Copies the state of a service with cp(1): all names, owners, modes, times, extended attributes, hard links, holes,
 * whiteouts, pipes and sockets. Blocks are shared where the file system can. A guest has made what is copied: no link in
 * it is followed, and in a mount of its own the kernel refuses to follow one that is put in the way meanwhile.
 */
import { dirname } from 'node:path';
import { findInPath } from '../../util/programs.js';
import { abortedError } from '../errors.js';
import { notCopied, toolMissing } from './errors.js';

/** Attributes are named, since only then cp fails where it cannot keep them. */
const CP = ['--preserve=mode,ownership,timestamps,links,xattr', '--reflink=auto', '--sparse=auto'];

/** What the shell does in its own mount namespace: mount(8) */
const COPY_UNFOLLOWED =
  'mount --bind -o nosymfollow,nodev,nosuid -- "$1" "$1" && exec cp --recursive --no-dereference "$3" "$4" "$5" -- "$1/." "$2"';

export interface CopyOptions {
  /** Whose state it is, for errors. */
  readonly source: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Copies what is in a directory. It takes root.
 * @param to a directory that is there, and empty
 * @throws {SandboxError} `service-state-not-copied`, `tool-missing`, `aborted`
 */
export async function copyTree(from: string, to: string, options: CopyOptions): Promise<void> {
  const shell = ['sh', '-c', COPY_UNFOLLOWED, 'sh', from, to, ...CP];
  await run(['unshare', '--mount', '--propagation', 'private', '--', ...shell], options);
  await run(['sync', '--file-system', '--', to], options);
}

/**
 * Copies one file.
 * @param to in the directory that it is to stay in; nothing is there
 * @throws as {@link copyTree}
 */
export async function copyFile(from: string, to: string, options: CopyOptions): Promise<void> {
  await run(['cp', '--no-dereference', '--reflink=auto', '--sparse=auto', '--', from, to], options);
  await run(['sync', '--', to, dirname(to)], options);
}

/** Whatever ends this process ends the program too: nothing is written behind the next one's back. */
async function run(argv: readonly string[], { source, signal }: CopyOptions): Promise<void> {
  for (const [name = '', debianPackage] of [
    ['setpriv', 'util-linux'],
    [argv[0], 'coreutils, util-linux'],
  ] as const)
    if (findInPath(name) === undefined) throw toolMissing(name, 'the state of a service is copied', debianPackage);
  const { execa } = await import('execa');
  // A program that has started may be done before it is ended.
  if (signal?.aborted) throw abortedError(source);
  const { failed, isCanceled, stderr, shortMessage } = await execa('setpriv', ['--pdeathsig', 'KILL', '--', ...argv], {
    reject: false,
    stdin: 'ignore',
    stdout: 'ignore',
    env: { LC_ALL: 'C' },
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  if (isCanceled) throw abortedError(source);
  if (failed) throw notCopied(source, stderr?.trim().split('\n').at(-1) || shortMessage || 'cp failed');
}
