/** The message, as JSON, that tells a common init in the guest what to set up. */
import type { GuestConfig } from './config.js';

export interface Configuration {
  readonly guest: GuestConfig;
  /** The host's time when this is sent, seconds in decimal digits. Left out if the host has set the clock itself. */
  readonly now?: { readonly seconds: string; readonly nanoseconds: number };
  /** Random bytes for the guest's entropy pool, in base64. */
  readonly entropy: string;
}

/** A failure in the guest, as JSON. It takes the place of the error text in the reply. */
export interface ConfigurationFailure {
  /** The step of the plan; undefined if the application could not be started. */
  readonly step?: string;
  readonly operation: string;
  readonly message: string;
  /** Set if the network could not be set up. */
  readonly network?: { readonly code: string; readonly remedy: string };
}
