/** What a user may choose about registries. */

export interface RegistryOptions {
  /** `--authfile`; default: see auth-files.ts. */
  readonly authFile?: string | undefined;
  /** `--tls-verify`; false: certificates are not checked, and plain HTTP will do. Default: true. */
  readonly tlsVerify?: boolean | undefined;
  /** Where registries.conf and auth files are looked for. Default: that of this process. */
  readonly environment?: NodeJS.ProcessEnv | undefined;
  readonly patience?: Partial<Patience> | undefined;
}

/** How long a registry is waited for. Times are in milliseconds. */
export interface Patience {
  readonly connect: number;
  /** From a request to the first byte of its answer, and between two pieces of an answer. */
  readonly silence: number;
  /** Bytes of an answer that have to come in so much time, for each such time that is waited. */
  readonly least: number;
  /** Before the second attempt; each further one waits twice as long. */
  readonly firstPause: number;
  /** The longest that a registry may ask to wait with Retry-After. */
  readonly longestPause: number;
  /** Attempts of a request, and of a blob whose answers stop, each with less than `least` bytes. */
  readonly attempts: number;
}

export const PATIENCE: Patience = {
  connect: 15_000,
  silence: 60_000,
  least: 60 << 10,
  firstPause: 500,
  longestPause: 60_000,
  attempts: 5,
};
