/** Records the life of a service that this process holds. */
import { isIPv6 } from 'node:net';
import { isSystemError } from '../../util/errors.js';
import type { Service } from '../types.js';
import { type Claim, ownerOf } from './claim.js';
import { endText } from './end.js';
import type { Health } from './health.js';
import type { PhaseFacts } from './observer.js';
import {
  lastEndOf,
  type Phase,
  readServiceRecord,
  type ServiceRecord,
  shortened,
  writeServiceRecord,
} from './record.js';
import type { SystemdUnit } from './under-systemd.js';

/** Until what could not be written is tried again, in milliseconds. */
const AGAIN_MS = 5000;

/** Of the words on how it has ended, which what is inside may have said. The record has a bound. */
const MOST_CHARACTERS = 4096;

/** How this process holds it. */
export interface Holding {
  readonly claim: Claim;
  readonly unit?: SystemdUnit | undefined;
  /** The URI that it is started over; undefined: nobody has named one. */
  readonly connect?: string | undefined;
}

export class LifeRecorder {
  readonly #path: string;
  readonly #onFailure: (sentence: string) => void;
  readonly #againMs: number;
  #record: ServiceRecord;
  /** Writes are done one after the other, and what was changed meanwhile is written at once. */
  #writing: Promise<void> = Promise.resolve();
  #isDue = false;
  /** The last one could not be written. */
  #again: NodeJS.Timeout | undefined;
  #hasFailed = false;

  /** @param onFailure gets why it cannot be written, once until it can */
  constructor(
    { name, paths, settings }: Service,
    { claim, unit, connect }: Holding,
    onFailure: (sentence: string) => void,
    againMs = AGAIN_MS,
  ) {
    this.#againMs = againMs;
    const before = readServiceRecord(paths.life, name);
    this.#path = paths.life;
    this.#onFailure = onFailure;
    this.#record = {
      version: 1,
      name,
      owner: ownerOf(claim),
      pid: process.pid,
      readyUnder: before?.readyUnder,
      ...unit,
      connect,
      stopTimeout: settings.stopTimeout,
      phase: 'starting',
      since: new Date().toISOString(),
      restarts: 0,
      lastEnd: before && lastEndOf(before),
      ports: [],
    };
  }

  phase(phase: Phase, { sandbox, end, again, restarts = this.#record.restarts }: PhaseFacts): void {
    const { started, again: _again, health, ...known } = this.#record;
    const now = new Date().toISOString();
    const isUp = phase === 'running' || phase === 'stopping';
    this.#change({
      ...known,
      phase,
      since: now,
      restarts,
      ...(isUp ? { started: phase === 'running' ? now : started, health } : { ports: [] }),
      ...(phase === 'running' ? { ports: portsOf(sandbox), health: undefined, readyUnder: known.owner } : {}),
      ...(again === undefined ? {} : { again: again.toISOString() }),
      ...(end === undefined
        ? {}
        : {
            lastEnd: {
              at: now,
              why: end.why,
              exitCode: end.exitCode,
              signal: end.signal,
              text: shortened(endText(end), MOST_CHARACTERS),
            },
          }),
    });
  }

  health({ checked, ...health }: Health): void {
    this.#change({ ...this.#record, health: { ...health, checked: checked.toISOString() } });
  }

  /** @param why its output is not in its log; undefined: it is again */
  unlogged(why: string | undefined): void {
    this.#change({ ...this.#record, unlogged: why === undefined ? undefined : shortened(why, MOST_CHARACTERS) });
  }

  /** Resolves when all is written, or cannot be. */
  async written(): Promise<void> {
    await this.#writing;
  }

  /** The same, and nothing is tried again. */
  async end(): Promise<void> {
    clearTimeout(this.#again);
    await this.#writing;
    clearTimeout(this.#again);
  }

  #change(record: ServiceRecord): void {
    this.#record = record;
    if (this.#isDue) return;
    this.#isDue = true;
    this.#writing = this.#writing.then(() => this.#write());
  }

  async #write(): Promise<void> {
    this.#isDue = false;
    clearTimeout(this.#again);
    try {
      await writeServiceRecord(this.#path, this.#record);
      this.#hasFailed = false;
    } catch (error) {
      if (!isSystemError(error)) throw error;
      this.#again = setTimeout(() => this.#change(this.#record), this.#againMs);
      if (!this.#hasFailed)
        this.#onFailure(
          `what is known of it cannot be recorded: ${error.message}; make room, or look who may write there`,
        );
      this.#hasFailed = true;
    }
  }
}

function portsOf(sandbox: PhaseFacts['sandbox']): ServiceRecord['ports'] {
  return (sandbox?.published ?? []).map(({ address, hostPort, guestPort, protocol }) => ({
    host: `${isIPv6(address) ? `[${address}]` : address}:${hostPort}`,
    guestPort,
    protocol: protocol === 'udp:' ? 'udp' : 'tcp',
  }));
}
