/** A bare QEMU with a machine's own command line, which somebody sets up over its channel in place of a launcher. */
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { GuestShare } from '../../../init/common/config.js';
import type { SharingMachine } from '../../sandbox/snapshot/restore.js';
import { Listener } from '../../sandbox/start/listener.js';
import { settlesWithin } from '../../util/promises.js';
import { withMemory } from './bare-memory.js';
import { type BareOptions, whileBare } from './bare-process.js';
import { rootOf, withRoot } from './bare-root.js';
import { Interrupted } from './process.js';
import { joinOptions, optionsOf } from './qemu-argv.js';

/** Options by which libvirt controls QEMU. They are left out here. */
const LEFT_OUT = new Set(['-S', '-no-shutdown']);
/** A QEMU that ends breaks its connections first. Wait this long for its own error, which says more. */
const LAST_WORDS_MS = 1000;

/** A bare QEMU that was started, for who sets up its guest. */
export interface BareMachine {
  /** Of the channel, whose second connection is QEMU's monitor. */
  readonly listener: Listener;
  readonly root: GuestShare;
  /** Set if its memory has to be filled from the snapshot. */
  readonly sharing: SharingMachine | undefined;
}

interface BareQemuOptions extends BareOptions {
  /** Something listens on the sockets of its shares already. */
  readonly isServed?: boolean;
}

/** QEMU's command line without libvirt's monitor and secret. */
export function uncontrolledArgv(argv: readonly string[]): string[] {
  const [program = '', ...words] = argv;
  const kept = optionsOf(words).filter(
    ([option, value = '']) => !LEFT_OUT.has(option) && !/charmonitor|"secret"/.test(value),
  );
  return [program, ...joinOptions(kept)];
}

/** The paths of the sockets that QEMU connects to, by the names of their devices. */
function socketsOf(argv: readonly string[]): { channel: string; console: string } {
  const pathOf = (id: string) => {
    const chardev = argv.find((word) => word.startsWith('socket,') && word.includes(`id=${id},`));
    const path = /path=([^,]+)/.exec(chardev ?? '')?.[1];
    if (path === undefined) throw new Error(`the command line of QEMU has no ${id}`);
    return path;
  };
  return { channel: pathOf('charchannel0'), console: pathOf('charserial0') };
}

/**
 * Starts the machine and what serves its root, and kills both when the guest is done.
 * @param argv QEMU's command line as libvirt would start it
 * @param guest sets up the guest and uses it
 * @returns what the guest gave, and the seconds from QEMU's start until it is gone
 * @throws {Interrupted} when the signal came first; QEMU is then gone
 * @throws {Error} with QEMU's status and the last line of its stderr, when it ends by itself; or when the guest is not
 *   done in time
 */
export async function runBare<Result>(
  argv: readonly string[],
  guest: (machine: BareMachine) => Promise<Result>,
  { isServed = false, ...options }: BareQemuOptions = {},
): Promise<{ readonly result: Result; readonly seconds: number }> {
  if (options.signal?.aborted) throw new Interrupted();
  const uncontrolled = uncontrolledArgv(argv);
  const paths = socketsOf(uncontrolled);
  const directory = dirname(paths.channel);
  mkdirSync(directory, { recursive: true });
  const listeners: Listener[] = [];
  try {
    const { argv: bare, sharing } = withMemory(uncontrolled, directory);
    const served = isServed ? alreadyServed(bare, directory) : withRoot(bare, directory);
    const listener = await Listener.open(paths.channel, { count: 2 });
    listeners.push(listener, await Listener.open(paths.console));
    const machine = { listener, root: rootOf(bare), sharing };
    return await whileBare(
      served,
      directory,
      async (ended) => {
        const gone = ended.then(({ how }) => Promise.reject(new Error(how)));
        const running = guest(machine).catch(async (error: unknown) => {
          await settlesWithin(ended, LAST_WORDS_MS);
          throw error;
        });
        return Promise.race([running, gone]);
      },
      options,
    );
  } finally {
    for (const listener of listeners) listener.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

function alreadyServed(command: string[], directory: string) {
  // Where a sandbox has the view of the host's files.
  symlinkSync('/', join(directory, 'root'));
  return { command, lastWords: () => undefined };
}
