/** Starts processes that pull images. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { programOf } from '../programs.js';
import type { TestStore } from './store.js';

export interface Puller {
  readonly child: ChildProcess;
  /** The first line that it prints. */
  readonly line: Promise<string>;
  /** Resolves when it has ended, and its lease with it. */
  readonly ended: Promise<unknown>;
  /** Kills it at once. */
  kill(): Promise<void>;
}

/** @param hold it goes on, with its lease, until it is killed */
export function startPulling(context: TestContext, store: TestStore, reference: string, hold = false): Puller {
  const words = [programOf('oci/pull-program'), store.paths.directory, reference, ...(hold ? ['hold'] : [])];
  const child = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const line = new Promise<string>((resolve, reject) => {
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
      if (out.includes('\n')) resolve(out.slice(0, out.indexOf('\n')));
    });
    child.once('exit', () => reject(new Error('it ended without a line')));
  });
  // Whoever kills it expects no line.
  line.catch(() => {});
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  context.after(kill);
  return { child, line, ended, kill };
}
