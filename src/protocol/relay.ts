/** What passes on what is about processes, for another host. */
import type { OutputProc } from './packets.js';
import type { ProcessParty } from './process-table.js';

/** A reply of the guest, not decoded. */
export interface RawReply {
  readonly status: number;
  readonly payload: Buffer;
}

/** A process of another host, beside those of a channel. */
export interface ForeignProcess extends ProcessParty {
  /** Called before anything else, and at once. */
  answered(reply: RawReply): void;
}

/** What passes all that is about processes on, instead of having them. */
export interface Relay {
  /** A piece of output, or its end: no bytes. */
  output(proc: OutputProc, process: number, bytes: Buffer): void;
  /** The guest has taken so much of a process's stdin. */
  stdinTaken(process: number, payload: Buffer): void;
  /** The payload of an EXIT. */
  exit(process: number, payload: Buffer): void;
}
