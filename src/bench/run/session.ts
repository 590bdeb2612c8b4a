/** What all measurements of one call share. */
import { loadProfile } from '../../profile/load.js';
import type { Profile } from '../../profile/types.js';
import { type ImageFacts, imageFacts, programPath } from './commands.js';
import { type HostFacts, hostFacts, QUIET_LOAD } from './host.js';
import { interruptible, type Say, say } from './progress.js';
import type { Unit } from './sample.js';
import { makeScratch, removeScratch } from './scratch.js';
import { refuseCounting, type SandboxVariant } from './variant.js';

export interface Session {
  readonly program: string;
  readonly image: ImageFacts;
  readonly host: HostFacts;
  /** A directory of this user's, which QEMU's user can enter. It is removed at the end. */
  readonly scratch: string;
  readonly signal: AbortSignal;
  readonly unit: Unit;
  readonly version: string;
  readonly command: readonly string[];
  readonly say: Say;
}

export interface SessionOptions {
  readonly version: string;
  /** The command line, word by word. */
  readonly command: readonly string[];
  /** Options of virt-sandbox that select the connection and the image. */
  readonly options: readonly string[];
  readonly deterministic: boolean;
}

/** Runs `work` in a session. The image is built first if the store lacks it, so that no run has to. */
export async function inSession<T>(wanted: SessionOptions, work: (session: Session) => Promise<T>): Promise<T> {
  if (wanted.deterministic) refuseCounting(wanted.options);
  const scratch = makeScratch();
  const { signal, release } = interruptible(say);
  try {
    const program = programPath();
    // Counting is emulating, also on a host with KVM.
    const image = imageFacts(program, [...(wanted.deterministic ? ['--accel', 'tcg'] : []), ...wanted.options]);
    const host = hostFacts(image);
    const unit = wanted.deterministic ? 'instructions' : 's';
    // In the emulated machine the load is that of its own start.
    if (unit === 's' && host.load > QUIET_LOAD && !host.nested)
      say(`the load is ${host.load.toFixed(2)}: other work will show in the figures`);
    const { version, command } = wanted;
    return await work({ program, image, host, scratch, signal, unit, version, command, say });
  } finally {
    release();
    removeScratch(scratch);
  }
}

/** A variant from the profile name, options and command that a user gives. */
export async function sandboxVariant(
  label: string,
  wanted: {
    readonly profile?: string | undefined;
    readonly options?: readonly string[];
    readonly command: readonly string[];
  },
): Promise<SandboxVariant> {
  const { options = [], command } = wanted;
  // Each run gets its profile as a file of its own, so take --profile out of the options.
  const { name, others } = takeProfile(options) ?? { name: wanted.profile, others: options };
  const profile: Profile = await loadProfile(name);
  return { kind: 'sandbox', label, options: others, profile, command };
}

/** Splits `--profile NAME` or `--profile=NAME` from the other options; undefined if there is no such option. */
export function takeProfile(options: readonly string[]) {
  const at = options.findIndex((word) => word === '--profile' || word.startsWith('--profile='));
  const word = options[at];
  if (word === undefined) return undefined;
  const isOneWord = word.includes('=');
  const name = isOneWord ? word.slice('--profile='.length) : options[at + 1];
  return { name, others: [...options.slice(0, at), ...options.slice(at + (isOneWord ? 1 : 2))] };
}
