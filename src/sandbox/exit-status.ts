/** Decodes the wait status of the application, as a shell does. */
import { constants } from 'node:os';

export interface ExitStatus {
  /** 0 to 255; undefined if a signal ended it. */
  readonly code: number | undefined;
  /** The signal that ended it; a number if it has no name; undefined: none. */
  readonly signal: NodeJS.Signals | number | undefined;
  /** What a shell reports: the code, or 128 plus the signal's number. */
  readonly exitCode: number;
}

/** The exit status of a program whose application was killed because its time was over, as timeout(1) has it. */
export const TIMED_OUT_STATUS = 124;

/** @param status as wait(2) returns it on Linux */
export function exitStatusOf(status: number): ExitStatus {
  const signal = status & 0x7f;
  if (signal === 0) {
    const code = (status >> 8) & 0xff;
    return { code, signal: undefined, exitCode: code };
  }
  return { code: undefined, signal: nameOf(signal) ?? signal, exitCode: 128 + signal };
}

function nameOf(signal: number): NodeJS.Signals | undefined {
  const found = Object.entries(constants.signals).find(([, number]) => number === signal);
  return found?.[0] as NodeJS.Signals | undefined;
}
