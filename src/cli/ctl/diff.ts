/** virt-sandbox-ctl diff: what a sandbox has changed of its root. */
import { readlinkSync } from 'node:fs';
import { hostPath } from '../../config/path.js';
import { connectSandbox } from '../../control/connect.js';
import { opaqueByAttribute } from '../../sandbox/devices/overlay-attributes.js';
import { overlayChanges } from '../../sandbox/devices/overlay-changes.js';
import { keptOverlay } from '../../sandbox/devices/overlay-directory.js';
import { overlayLink } from '../../sandbox/devices/overlay-server.js';
import type { Change, Kind } from '../../sandbox/overlay/walk.js';
import { findRunning } from '../../sandbox/state/running.js';
import { oneLine, SandboxError, valueOr } from '../../util/errors.js';
import { jsonOfLists, printPieces } from '../output.js';
import { type CtlArguments, wantsJson } from './arguments.js';

/** In podman's words. */
const KINDS: readonly (readonly [key: string, kind: Kind])[] = [
  ['added', 'A'],
  ['changed', 'C'],
  ['deleted', 'D'],
];

export async function diff(args: CtlArguments): Promise<number> {
  const asJson = wantsJson(args, 'diff');
  const [word = ''] = args.words;
  const changes = isDirectory(word) ? changesKeptIn(word) : await changesOfSandbox(word);
  // A guest may have chosen names that are many times as long when they are escaped.
  await printPieces(asJson ? json(changes) : lines(changes));
  return 0;
}

function* lines(changes: readonly Change[]): Generator<string> {
  for (const { kind, path } of changes) yield `${kind} ${oneLine(path)}\n`;
}

function json(changes: readonly Change[]): Iterable<string> {
  return jsonOfLists(Object.fromEntries(KINDS.map(([key, kind]) => [key, pathsOf(changes, kind)])));
}

function* pathsOf(changes: readonly Change[], kind: Kind): Generator<string> {
  for (const change of changes) if (change.kind === kind) yield change.path;
}

/** It begins with `/` or a dot: USER/NAME is a sandbox. */
function isDirectory(word: string): boolean {
  return /^(?:\/|\.\.?(?:\/|$))/.test(word);
}

function changesKeptIn(word: string): Change[] {
  if (process.geteuid?.() !== 0)
    throw failure('diff-not-root', 'overlays that are kept in directories belong to root', 'run this as root');
  const kept = keptOverlay(hostPath(word, 'diff'));
  if (kept === undefined)
    throw failure('no-overlay', `no overlay is in ${JSON.stringify(word)}`, 'name the DIR of --overlay=DIR');
  return overlayChanges(kept, opaqueByAttribute(kept.kind));
}

async function changesOfSandbox(word: string): Promise<Change[]> {
  const { name, stateDirectory, user } = await findRunning(word);
  // What is compared, and with which root, is the user's word: a file system of the user's may hold this process up.
  if (user !== undefined)
    throw failure(
      'diff-of-another',
      `what the sandbox ${name} has changed is for its user to ask`,
      `use runuser -l ${word.slice(0, word.indexOf('/'))} -c 'virt-sandbox-ctl diff ${name}'`,
    );
  const directory = valueOr(() => readlinkSync(overlayLink(stateDirectory)), undefined);
  if (directory !== undefined) return changesKeptIn(directory);
  const sandbox = await connectSandbox(word);
  try {
    const changes = await sandbox.changes();
    if (changes !== undefined) return changes;
    if (sandbox.record.overlay === undefined)
      throw failure(
        'overlay-unknown',
        `the sandbox ${name} was started by another version of virt-sandbox, which does not say what overlay it has`,
        'start it again',
      );
  } finally {
    await sandbox.close();
  }
  throw failure('no-overlay', `the sandbox ${name} has no overlay: its root is read-only`, 'start it with --overlay');
}

function failure(code: string, message: string, remedy: string): SandboxError {
  return new SandboxError({ stage: 'application', code, message, remedy });
}
