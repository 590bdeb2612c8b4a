/** What a holder is to the hosts that are connected to it. */
import type { Channel } from '../protocol/channel.js';
import type { ControlRequest } from './requests.js';
import type { ProcessWatch } from './served-process.js';

/** A request that is refused. */
export class Refusal extends Error {
  constructor(
    readonly errno: number,
    message: string,
  ) {
    super(message);
  }
}

/** What a host asks for, but for what is about its connection. */
export type ForHolder = Exclude<ControlRequest, { ask: 'keep' | 'application' }>;

export interface ServedHostOptions {
  /** Undefined: there is no guest, so that hosts can only ask. */
  readonly channel: Channel | undefined;
  /** For READY. */
  readonly kernelRelease: string;
  /**
   * @param lease aborts when the connection ends, unless the host has asked to keep what it has
   * @throws {Refusal}
   */
  readonly answer: (request: ForHolder, lease: AbortSignal) => Promise<unknown>;
  /**
   * Watches the process that a host starts as the application.
   * @throws {Refusal} if the sandbox has one
   */
  readonly application?: () => ProcessWatch;
}
