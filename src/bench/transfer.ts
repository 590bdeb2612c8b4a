/** One process's output against the clock, and against what it should be. */
import { type Command, runToEnd } from './run.js';

export interface Transfer extends Command {
  /** File on its stdin. */
  readonly input?: string;
  /** Every byte that it must write. */
  readonly expected: Buffer;
}

const MIB = 2 ** 20;

/**
 * @returns MiB/s between the first and the last piece of the output, so that no boot counts; the first piece itself does not count either
 * @throws {Error} when one byte is another one, missing, or too many
 */
export async function transferRate({ input, expected, ...command }: Transfer): Promise<number> {
  let received = 0;
  let first: { readonly at: bigint; readonly bytes: number } | undefined;
  let last = 0n;
  let differs: number | undefined;
  const receive = (piece: Buffer) => {
    last = process.hrtime.bigint();
    first ??= { at: last, bytes: piece.length };
    if (!piece.equals(expected.subarray(received, received + piece.length))) differs ??= received;
    received += piece.length;
  };
  await runToEnd(command, receive, input);
  const { label } = command;
  if (differs !== undefined) throw new Error(`${label}: the output is wrong behind byte ${differs}`);
  if (received !== expected.length) throw new Error(`${label}: ${received} of ${expected.length} bytes arrived`);
  if (first === undefined) throw new Error(`${label}: there was nothing to transfer`);
  return (received - first.bytes) / MIB / (Number(last - first.at) / 1e9);
}
