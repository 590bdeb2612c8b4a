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
  child.command = command.join(' ');
  return child;
}

export async function until(ready, children) {
  let gone;
  for (const child of children) child.ended.then((said) => (gone ??= `${child.command} ended: ${said}`));
  for (const deadline = Date.now() + START_MS; Date.now() < deadline; ) {
    if (await ready()) return;
    if (gone !== undefined) throw new Error(gone);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${children.at(-1).command} did not answer within ${START_MS / 1000} s`);
}

export async function end(child) {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await child.ended;
  clearTimeout(timer);
}
