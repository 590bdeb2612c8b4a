/** What a common init in the guest is told at the start: the sandbox, and what varies from run to run. It travels as JSON. */
import type { GuestConfig } from './config.js';

export interface Configuration {
  readonly guest: GuestConfig;
  /** The host's time when it is sent; the seconds in decimal digits. Left out by a host that has set the clock. */
  readonly now?: { readonly seconds: string; readonly nanoseconds: number };
  /** Random bytes for the guest's pool, as base64. */
  readonly entropy: string;
}

/** How a failure comes back: in place of the text of an operation's error. */
export interface ConfigurationFailure {
  /** The step of the plan; undefined where the application could not be started. */
  readonly step?: string;
  readonly operation: string;
  readonly message: string;
  /** A network that cannot be set up as it was asked for. */
  readonly network?: { readonly code: string; readonly remedy: string };
}
