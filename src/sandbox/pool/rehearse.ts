/** What a sandbox of a pool does before it waits, so that the first program of who takes it is quick. */
import { SandboxError } from '../../util/errors.js';
import { abortedWithin } from '../../util/promises.js';
import { BuiltinError, startBuiltin } from '../process/builtin.js';
import type { Sandbox } from '../sandbox.js';
import { DisplayError, talkTo } from '../screen/display-peer.js';
import { greet } from '../screen/resize-x11.js';
import { silentError } from './errors.js';

/**
 * Runs a command that does nothing: what the kernel and the loader need for it is in the guest's memory then, and
 * translated where the machine is emulated. A root need not have it.
 * @param milliseconds most that all of it may take
 * @throws {SandboxError} `process-lost`, `guest-silent`
 */
export async function rehearse(sandbox: Sandbox, milliseconds: number): Promise<void> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(silentError(milliseconds)), milliseconds);
  try {
    await unlessNeeded(() => sandbox.run(['true'], { signal: late.signal }));
    await unlessNeeded(() => startXwayland(sandbox, late.signal));
  } finally {
    clearTimeout(timer);
  }
}

/** The others say that this cannot be done there. */
const ESSENTIAL: readonly string[] = ['process-lost', 'guest-silent'];

async function unlessNeeded(act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (error instanceof DisplayError || error instanceof BuiltinError) return;
    if (!(error instanceof SandboxError) || ESSENTIAL.includes(error.code)) throw error;
  }
}

/** How long Xwayland may take, in milliseconds. Without it the sandbox is as good as one that is no pool's. */
const XWAYLAND_MS = 20_000;

/**
 * Xwayland takes most of the time until a program of X11 is seen, and starts when the first one connects. When the last one
 * has left, it stays for ten seconds, which do not pass while the machine waits.
 */
async function startXwayland({ launched: { channel, guest } }: Sandbox, late: AbortSignal): Promise<void> {
  const socket = guest.screen?.display?.xwayland;
  if (socket === undefined) return;
  const signal = abortedWithin(XWAYLAND_MS, late);
  try {
    const words = ['connect', socket];
    await talkTo(await startBuiltin(channel, guest, words, 'the start of Xwayland', { signal }), greet);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
