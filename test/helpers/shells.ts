/** Sandboxes with a debug shell, and a person at a terminal who attaches to it. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { uniqueName } from './leftovers.js';
import { AtTerminal } from './pty.js';
import { type RunOptions, startSandbox } from './run.js';

const SIZE = { rows: 33, columns: 101 };
/** A terminal for which bash writes only text. */
const PLAIN = { TERM: 'dumb' };

/** The application: it shows in a list of processes, and ends with its input. */
const APPLICATION = ['sh', '-c', 'echo running; exec cat'];

/** How virt-sandbox is run. */
type How = Pick<RunOptions, 'env' | 'through' | 'program' | 'cwd'>;

/** Starts the sandbox `name` and waits for its application. */
export async function startNamed(t: TestContext, name: string, uri: string, options: readonly string[], how: How = {}) {
  const args = ['-c', uri, '-n', name, ...options, '--', ...APPLICATION];
  const running = startSandbox(args, { ...how, input: 'open' });
  t.after(async () => {
    running.child.kill('SIGTERM');
    await running.result.catch(() => {});
  });
  await running.until(/running/);
  return running;
}

/** Starts a sandbox with a unique name and waits for its application. */
export async function startWithShell(t: TestContext, uri: string, ...options: string[]) {
  const name = uniqueName();
  return { name, running: await startNamed(t, name, uri, options) };
}

/** Attaches to the sandbox and waits for the prompt. @param called what the command line calls it */
export async function attach(t: TestContext, name: string, how: How = {}, called = name) {
  const terminal = new AtTerminal(['--attach', called], SIZE, { ...how, env: { ...how.env, ...PLAIN } });
  t.after(() => terminal.close());
  const settings = terminal.before;
  const prompt = promptOf(name);
  await terminal.until(prompt);
  return { terminal, settings, prompt, ask: asker(terminal, prompt) };
}

/** Resizes the terminal and asserts that the shell sees the new size. */
export async function assertFollowsSize(
  terminal: AtTerminal,
  ask: (command: string) => Promise<string>,
): Promise<void> {
  terminal.resize({ rows: 50, columns: 132 });
  let size = '';
  for (let tries = 0; tries < 50 && size !== '50 132'; tries += 1) {
    size = await ask('stty size');
    await sleep(100);
  }
  assert.equal(size, '50 132');
}

function promptOf(name: string): RegExp {
  return new RegExp(`\\[${name}\\] / # $`);
}

function asker(terminal: AtTerminal, prompt: RegExp) {
  return async (command: string): Promise<string> => {
    terminal.type(`${command}; echo END\n`);
    // The echo of the typed line has END too.
    const [, output = ''] = await terminal.until(/echo END\r?\n([\s\S]*?)END\r?\n/);
    await terminal.until(prompt);
    return output.replaceAll('\r', '').trimEnd();
  };
}
