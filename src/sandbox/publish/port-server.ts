/** A port of this host that is carried into a sandbox, once there is one. */

import type { Protocol } from '../../config/types.js';
import type { ClientLimit } from './client-limit.js';
import type { Connect } from './connection.js';

/** What carries clients. */
export interface Carrier {
  readonly connect: Connect;
  readonly limit: ClientLimit;
}

export interface PortServer {
  readonly protocol: Protocol;
  /** Its IP address and its port. */
  readonly host: string;
  readonly port: number;
  /** Resolves when nothing of it is left. */
  readonly closed: Promise<void>;
  serve(carrier: Carrier): void;
  /** Ends what is carried. Resolves when nothing of it is left. */
  close(): Promise<void>;
}
