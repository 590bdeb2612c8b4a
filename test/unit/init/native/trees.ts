/** `pack` and `unpack` in a test: what they send, and what they report. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { Proc, SpawnFlag, STDIN_WINDOW_BYTES } from '../../../../src/protocol/wire.js';
import { Guest } from './driver.js';

export const flags = SpawnFlag.BUILTIN;

export async function pack(t: TestContext, path: string): Promise<Buffer> {
  const guest = await Guest.start(t);
  const number = await guest.spawnBeside(['pack', path], { flags });
  assert.equal(await guest.exit(number), 0, guest.output(Proc.STDERR, number).toString('latin1'));
  const stream = guest.output(Proc.STDOUT, number);
  await guest.finish();
  return stream;
}

/** What a failed one reports: errno, and what failed. */
export async function report(guest: Guest, number: number): Promise<[errno: number, what: string]> {
  assert.equal(await guest.exit(number), 1 << 8);
  const bytes = guest.output(Proc.STDERR, number);
  return [bytes.readUInt32BE(0), bytes.subarray(4).toString()];
}

export async function feed(guest: Guest, number: number, stream: Buffer): Promise<void> {
  for (let at = 0; at < stream.length; at += 100_000) {
    const piece = stream.subarray(at, at + 100_000);
    const most = at + piece.length - STDIN_WINDOW_BYTES;
    await guest.until(() => guest.acknowledgedOf(number) >= most, 'room for stdin');
    guest.stdin(piece, number);
  }
  guest.stdinEnd(number);
}

/** Unpacks, and returns the report if it failed. */
export async function unpack(
  t: TestContext,
  path: string,
  name: string,
  ...stream: readonly Buffer[]
): Promise<[errno: number, what: string] | undefined> {
  const guest = await Guest.start(t);
  const number = await guest.spawnBeside(['unpack', path, name], { flags });
  await feed(guest, number, Buffer.concat(stream));
  const isWhole = (await guest.exit(number)) === 0;
  const failure = isWhole ? undefined : await report(guest, number);
  await guest.finish();
  return failure;
}

/** Gives the init's children few descriptors. */
export function allowFewFiles(guest: Guest): void {
  execFileSync('prlimit', ['--pid', String(guest.process.pid), '--nofile=40:40']);
}

export function timeOf(path: string | Buffer): bigint {
  return lstatSync(path, { bigint: true }).mtimeNs;
}
