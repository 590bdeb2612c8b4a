/** How a port of a sandbox is published, for programs. */
import type { Protocol } from '../../config/types.js';

export interface PublishOptions {
  /** Default: `tcp`. */
  readonly protocol?: Protocol | undefined;
  /** IP address of this host to listen at; default: 127.0.0.1. Every user of this host reaches that one. */
  readonly host?: string | undefined;
  /** Port of this host, 1 to 65535; default: 0, a free one. */
  readonly hostPort?: number | undefined;
  /** Closes it. */
  readonly signal?: AbortSignal | undefined;
}
