/** virt-sandbox-ctl cp: files into a running sandbox, or out of it. */
import { constants } from 'node:os';
import { type ConnectedSandbox, connectSandbox } from '../../control/connect.js';
import type { CopyOptions, CopyResult } from '../../sandbox/files/tree/types.js';
import { findRunning } from '../../sandbox/state/running.js';
import { ignoreSandboxError } from '../../util/errors.js';
import { cancelOnSignal } from '../terminal/cancel-on-signal.js';
import { progressLine } from '../terminal/progress-line.js';
import { type CtlArguments, PROGRAM, textOf } from './arguments.js';
import { type Copy, copyOf } from './copy-paths.js';
import { copyTar } from './cp-tar.js';
import { bytesText } from './human.js';

/** @returns the exit status */
export async function cp(args: CtlArguments): Promise<number> {
  const [from = '', to = ''] = args.words;
  const wanted = await copyOf(from, to, runs);
  if (!('hostPath' in wanted)) return copyTar(wanted, userOf(args));
  const progress = progressLine(PROGRAM);
  progress.show(`copying ${wanted.direction === 'upload' ? 'into' : 'out of'} ${wanted.sandbox}`);
  const cancel = cancelOnSignal();
  try {
    const { skipped } = await copyIn(wanted, {
      ...userOf(args),
      signal: cancel.abort,
      onProgress: ({ files, bytes }) => progress.show(`${files} file${files === 1 ? '' : 's'}, ${bytesText(bytes)}`),
    });
    for (const { path, reason } of skipped) progress.note(`warning: ${path} was left out: ${reason}`);
    return 0;
  } catch (error) {
    if (cancel.signal === undefined) throw error;
    return 128 + constants.signals[cancel.signal];
  } finally {
    progress.clear();
    cancel.release();
  }
}

async function runs(name: string): Promise<boolean> {
  return (await ignoreSandboxError(findRunning(name))) !== undefined;
}

async function copyIn({ sandbox: name, ...wanted }: Copy, options: CopyOptions): Promise<CopyResult> {
  const sandbox = await connectSandbox(name, options.signal ? { signal: options.signal } : {});
  try {
    return await copy(sandbox, wanted, options);
  } finally {
    await sandbox.close();
  }
}

function copy(
  { files }: ConnectedSandbox,
  { direction, pathInside, hostPath }: Omit<Copy, 'sandbox'>,
  options: CopyOptions,
): Promise<CopyResult> {
  if (direction === 'upload') return files.upload(hostPath, pathInside, options);
  return files.download(pathInside, hostPath, options);
}

function userOf(args: CtlArguments): Pick<CopyOptions, 'user'> {
  const user = textOf(args, 'user');
  return user === undefined ? {} : { user };
}
