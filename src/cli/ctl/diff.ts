/** virt-sandbox-ctl diff: what a sandbox has changed of its root. */
import { readlinkSync } from 'node:fs';
import { hostPath } from '../../config/path.js';
import { opaqueByAttribute } from '../../sandbox/devices/overlay-attributes.js';
import { type Change, type Kind, overlayChanges } from '../../sandbox/devices/overlay-changes.js';
import { type KeptOverlay, keptOverlay } from '../../sandbox/devices/overlay-directory.js';
import { overlayLink } from '../../sandbox/devices/overlay-server.js';
import { findRunning } from '../../sandbox/state/running.js';
import { oneLine, SandboxError, valueOr } from '../../util/errors.js';
import { printJson, printLines } from '../output.js';
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
  const changes = overlayChanges(await overlayOf(word), opaqueByAttribute());
  if (!asJson) await printLines(changes.map(({ kind, path }) => `${kind} ${oneLine(path)}`));
  else await printJson(Object.fromEntries(KINDS.map(([key, kind]) => [key, pathsOf(changes, kind)])));
  return 0;
}

function pathsOf(changes: readonly Change[], kind: Kind): string[] {
  return changes.filter((change) => change.kind === kind).map(({ path }) => path);
}

/** A directory begins with `/` or a dot: USER/NAME is a sandbox. */
async function overlayOf(word: string): Promise<KeptOverlay> {
  if (process.geteuid?.() !== 0)
    throw failure('diff-not-root', 'overlays that are kept in directories belong to root', 'run this as root');
  if (/^(?:\/|\.\.?(?:\/|$))/.test(word)) {
    const kept = keptOverlay(hostPath(word, 'diff'));
    if (kept !== undefined) return kept;
    throw failure('no-overlay', `no overlay is in ${JSON.stringify(word)}`, 'name the DIR of --overlay=DIR');
  }
  const { name, stateDirectory, user } = await findRunning(word);
  const directory =
    user === undefined ? valueOr(() => readlinkSync(overlayLink(stateDirectory)), undefined) : undefined;
  const kept = directory === undefined ? undefined : keptOverlay(directory);
  if (kept !== undefined) return kept;
  throw failure(
    'no-overlay',
    `the sandbox ${name} keeps no overlay in a directory: what it has changed cannot be seen from outside`,
    'start it with --overlay=DIR, or name such a DIR, beginning with / or ./',
  );
}

function failure(code: string, message: string, remedy: string): SandboxError {
  return new SandboxError({ stage: 'application', code, message, remedy });
}
