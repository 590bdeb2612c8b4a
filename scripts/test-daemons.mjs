// Daemons that tests need while they run.
import { spawn } from 'node:child_process';

const START_MS = 20_000;
const STOP_MS = 10_000;

/** Starts a daemon in the foreground. It does not outlive this process, however this one ends. */
export function daemon(...command) {
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', ...command], {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  child.said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    child.said = `${child.said}${text}`.slice(-2000);
  });
  child.ended = new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', () => resolve(child.said.trim().split('\n').at(-1)));
  });
  child.gone = new Promise((resolve) => {
    child.once('error', resolve);
    child.once('exit', resolve);
  });
  child.command = command.join(' ');
  return child;
}

/**
 * Words for {@link daemon}: what the command leaves behind becomes a child of tini, which reaps it. libvirt waits until
 * each QEMU that it has killed is reaped, and PID 1 of some containers is slow to do that. The command is killed where
 * tini is, which passes SIGTERM on but cannot do so with SIGKILL.
 */
export function reaped(...command) {
  return ['tini', '-s', '--', 'setpriv', '--pdeathsig', 'KILL', '--', ...command];
}

/** @param {AbortSignal} [signal] ends the wait */
export async function until(ready, children, signal) {
  let gone;
  for (const child of children) child.ended.then((said) => (gone ??= `${child.command} ended: ${said}`));
  for (const deadline = Date.now() + START_MS; Date.now() < deadline; ) {
    signal?.throwIfAborted();
    if (await ready()) return;
    if (gone !== undefined) throw new Error(gone);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${children.at(-1).command} did not answer within ${START_MS / 1000} s`);
}

/** Ends a daemon. What it has started may live on, and hold its stderr: that is not waited for. */
export async function end(child, stopMs = STOP_MS) {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), stopMs);
  await child.gone;
  clearTimeout(timer);
  child.stderr?.destroy();
}
