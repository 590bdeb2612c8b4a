/** How a service has ended. */
import { constants } from 'node:os';
import type { ProcessExit } from '../../sandbox/process/types.js';
import { messageOf, oneLine, SandboxError } from '../../util/errors.js';

/**
 * - `ended`: its command has ended by itself.
 * - `stopped`: somebody has asked for it.
 * - `unhealthy`: its health command failed too often.
 * - `failed`: it did not start, or its sandbox is gone.
 */
export type Why = 'ended' | 'stopped' | 'unhealthy' | 'failed';

export interface ServiceEnd {
  readonly why: Why;
  /** As a shell has it. */
  readonly exitCode: number;
  readonly signal?: string | undefined;
  /** For the process that holds it: a program that ends by the signal that asks it to is no failure. */
  readonly status: number;
  /** Of `failed`, and of one that was stopped while it started. */
  readonly error?: unknown;
}

/** The status of the service itself where it failed, as of the other programs. */
const FAILED = 125;

/** @param stopSignal what asks the program to end, before SIGTERM does; SIGKILL is never that */
export function endOf(why: Why, { exitCode, signal }: ProcessExit, stopSignal?: number): ServiceEnd {
  const asked = stopSignal === undefined ? [] : [stopSignal, constants.signals.SIGTERM];
  const isAsked = why === 'stopped' && asked.some((number) => exitCode === 128 + number);
  const status = isAsked ? 0 : why === 'unhealthy' ? exitCode || 1 : exitCode;
  return { why, exitCode, status, ...(signal === undefined ? {} : { signal: String(signal) }) };
}

export function failedEnd(error: unknown): ServiceEnd {
  const exitCode = error instanceof SandboxError ? error.exitCode : FAILED;
  return { why: 'failed', exitCode, status: exitCode, error };
}

/** It was stopped before its command ran, or was ready. */
export function stoppedEarly(error: unknown): ServiceEnd {
  return { why: 'stopped', exitCode: 0, status: 0, error };
}

/** In words, on one line. */
export function endText({ why, exitCode, signal, error }: ServiceEnd): string {
  if (why === 'failed') return error instanceof SandboxError ? error.line : oneLine(messageOf(error));
  const how = signal === undefined ? `exit status ${exitCode}` : `ended by ${signal}`;
  if (why === 'ended') return how;
  if (error !== undefined) return 'stopped while it started';
  return why === 'stopped' ? `stopped, ${how}` : `unhealthy, ${how}`;
}
