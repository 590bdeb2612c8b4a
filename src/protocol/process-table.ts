/** The running processes of a guest, by its numbers. */
import { mark } from '../util/marks.js';
import { decodeExit, type GuestExit } from './exit.js';
import { FieldReader, ProtocolError } from './fields.js';
import type { OutputProc } from './packets.js';

/** A running process, or what passes on what is about it. What a method throws ends the connection. */
export interface ProcessParty {
  /** The guest has started it, and gave it a number. */
  started(number: number): void;
  output(proc: OutputProc, bytes: Buffer): void;
  outputEnd(proc: OutputProc): void;
  /** The guest has taken so many more bytes of its stdin. */
  stdinTaken(bytes: number): void;
  ended(exit: GuestExit): void;
  /** The connection is gone, or the sandbox has ended. */
  lost(error: Error): void;
}

/** The guest may say anything: what is about a process that does not run is an error. */
export class ProcessTable {
  readonly #parties = new Map<number, ProcessParty>();
  readonly #application: ProcessParty;
  readonly #onEnd: () => Error;

  /** @param onEnd makes the error for those that run when the application ends */
  constructor(application: ProcessParty, onEnd: () => Error) {
    this.#application = application;
    this.#onEnd = onEnd;
  }

  /** How many processes run. */
  get size(): number {
    return this.#parties.size;
  }

  /** @throws {ProtocolError} if the guest has another process of that number */
  add(party: ProcessParty, number: number): void {
    if (number === 0 || this.#parties.has(number)) throw thereAlready(number);
    this.#parties.set(number, party);
    party.started(number);
  }

  /** @throws {ProtocolError} as all the following, for what a guest must not send */
  output(proc: OutputProc, number: number, bytes: Buffer): void {
    this.#running(number, 'output').output(proc, bytes);
  }

  outputEnd(proc: OutputProc, number: number): void {
    this.#running(number, 'the end of output').outputEnd(proc);
  }

  stdinTaken(number: number, payload: Buffer): void {
    this.#running(number, 'an acknowledgement').stdinTaken(new FieldReader(payload).u32());
  }

  exited(number: number, payload: Buffer): void {
    const party = this.#running(number, 'the exit');
    const exit = decodeExit(payload);
    this.#parties.delete(number);
    party.ended(exit);
    if (party !== this.#application) return;
    mark('exit', { drained: exit.drained, finished: exit.finished });
    this.lose(this.#onEnd());
  }

  /** Nothing more will be heard of any process. */
  lose(error: Error): void {
    const parties = [...this.#parties.values()];
    this.#parties.clear();
    for (const party of parties) party.lost(error);
  }

  #running(number: number, what: string): ProcessParty {
    const party = this.#parties.get(number);
    if (!party) throw new ProtocolError(`the guest sent ${what} of process ${number}, which does not run`);
    return party;
  }
}

export function thereAlready(number: number): ProtocolError {
  return new ProtocolError(`the guest started process ${number}, which is there already`);
}
