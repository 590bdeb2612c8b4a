/** What a sandbox without a command is made of, for programs. */
import type { Disk, EnvironmentVariable, Mount, Network, SandboxConfig, Tuning } from '../../config/types.js';
import type { LaunchOptions } from '../types.js';

/** Keys that need not be there. */
type Loose<T, Given extends keyof T> = Pick<T, Given> & Partial<Omit<T, Given>>;
/** Each kind of a union. */
type LooseMount<T extends Mount = Mount> = T extends { type: 'host-image' }
  ? Loose<T, 'type' | 'target' | 'source'>
  : T extends { type: 'host-bind' }
    ? Loose<T, 'type' | 'target'>
    : Loose<T, 'type' | 'target' | Exclude<keyof T, 'includes' | 'readOnly'>>;

/** Files of sandbox.cfg have these, and what is for one command. */
type NotForCreating = 'arch' | 'service' | 'debug' | 'verbose' | 'tty' | 'command' | 'identity';
type Texts = 'memory' | 'mounts' | 'disks' | 'networks' | 'environment' | 'bootTimeout' | 'tuning';

/**
 * Everything has a default. Where a text is possible, it is that of the option of this name on the command line: a mount
 * is `host-bind:/src=.,ro`, a size is `512M`.
 */
export interface CreateOptions
  extends Partial<Omit<SandboxConfig, NotForCreating | Texts>>,
    Omit<LaunchOptions, 'terminal' | 'terminalFd' | 'trace' | 'breakpoint' | 'image' | 'profile' | 'timeLimit'> {
  readonly identity?: SandboxConfig['identity'] | undefined;
  /** Bytes, or a text. */
  readonly memory?: number | string | undefined;
  readonly mounts?: readonly (string | LooseMount)[] | undefined;
  readonly disks?: readonly (string | Loose<Disk, 'tag' | 'source'>)[] | undefined;
  readonly networks?: readonly (string | Partial<Network>)[] | undefined;
  readonly environment?: Readonly<Record<string, string>> | readonly EnvironmentVariable[] | undefined;
  readonly tuning?: Partial<Tuning> | undefined;
  /** Milliseconds, or a text: `500ms`, `5s`, `2m`. */
  readonly bootTimeout?: number | string | undefined;
}
