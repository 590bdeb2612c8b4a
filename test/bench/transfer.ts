/** Measures the rate of a process's output, and checks every byte. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { type Command, runProcess } from '../../src/bench/run/process.js';
import type { Received } from './receive.js';

export interface Transfer extends Command {
  /** File on its stdin. */
  readonly input?: string;
  /** File with the bytes that it must write. */
  readonly expected: string;
}

const RECEIVE = fileURLToPath(new URL('./receive.js', import.meta.url));
const MIB = 2 ** 20;

let pipes = 0;

/**
 * Runs the command once.
 * @returns MiB/s from the first read to the last one, without the bytes of the first: the boot does not count
 * @throws {Error} when a byte is wrong, missing or surplus
 */
export async function transferRate({ input, expected, ...command }: Transfer, scratch: string): Promise<number> {
  pipes += 1;
  const pipe = join(scratch, `pipe-${pipes}`);
  execFileSync('mkfifo', [pipe]);
  const receiver = spawn(process.execPath, [RECEIVE, pipe, expected], { stdio: ['ignore', 'pipe', 'inherit'] });
  const answer = buffer(receiver.stdout);
  const gone = once(receiver, 'exit');
  // Waits for the receiver to open its end.
  const writing = await open(pipe, 'w');
  await runProcess(command, { stdout: writing.fd, input }).finally(() => writing.close());
  await gone;
  const received = JSON.parse((await answer).toString()) as Received;
  const { bytes, first, seconds, equal, total } = received;
  if (equal !== bytes) throw new Error(`${command.label}: the output is wrong behind byte ${equal}`);
  if (bytes !== total) throw new Error(`${command.label}: ${bytes} of ${total} bytes arrived`);
  return (bytes - first) / MIB / seconds;
}
