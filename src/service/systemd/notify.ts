/**
 * Tells the systemd that has started this process what the service does: sd_notify(3). A process that systemd has not
 * started tells nobody. A socket of the kind vsock, which systemd itself has in a machine, is not supported.
 */
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { getSystemErrorName } from 'node:util';
import { quote } from '../../config/errors.js';
import { messageOf, oneLine, SHOWN_CHARACTERS } from '../../util/errors.js';
import { datagramSender, type Send } from './datagram.js';

/** What systemd passes on. */
const VARIABLES = ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'] as const;

/** Milliseconds for which a message waits where systemd reads none, and between two attempts. */
const PATIENCE = 5_000;
const INTERVAL = 50;

/** How often it is looked whether the service is well, in the time that systemd allows for one sign of life. */
const LOOKS = 4;

const MOST_MICROSECONDS = BigInt(Number.MAX_SAFE_INTEGER);

/** What a notifier goes by: values of the variables of the same names. */
interface Told {
  readonly socket: string | undefined;
  /** Milliseconds in which systemd expects a sign of life; undefined: it expects none. */
  readonly watchdog: number | undefined;
}

/** No call of it rejects, and messages arrive in the order of the calls. */
export class Notifier {
  /**
   * Milliseconds between two looks whether {@link watchdog} is to be called: a quarter of what systemd allows, so that
   * one or two may be late. undefined: it expects none.
   */
  readonly watchdogInterval: number | undefined;
  readonly #address: string | undefined;
  readonly #onTrouble: (message: string) => void;
  #send: Promise<Send | undefined> | undefined;
  #last: Promise<void> = Promise.resolve();
  /** The last message did not arrive: the next one does not wait. */
  #failed = false;

  /**
   * The one of this process. Takes the variables out of `env`, so that no child speaks for the service.
   * @param onTrouble called with a sentence when a message does not arrive, and again only after one that has
   */
  static take(onTrouble: (message: string) => void, env: NodeJS.ProcessEnv = process.env): Notifier {
    const told: Told = {
      socket: env['NOTIFY_SOCKET'] || undefined,
      watchdog: watchdogPeriod(env['WATCHDOG_USEC'], env['WATCHDOG_PID']),
    };
    for (const name of VARIABLES) delete env[name];
    return new Notifier(told, onTrouble);
  }

  private constructor({ socket, watchdog }: Told, onTrouble: (message: string) => void) {
    this.#address = socket;
    this.#onTrouble = onTrouble;
    this.watchdogInterval = socket === undefined || watchdog === undefined ? undefined : watchdog / LOOKS;
  }

  /** Whether somebody wants to be told. */
  get active(): boolean {
    return this.#address !== undefined;
  }

  /**
   * The service is ready, or has reloaded.
   * @param options `mainPid`: another process than this one is its main one
   */
  ready({ mainPid, status }: { readonly mainPid?: number; readonly status?: string } = {}): Promise<void> {
    return this.#tell('READY=1', mainPid && `MAINPID=${mainPid}`, statusLine(status));
  }

  /** It reloads. {@link ready} is to follow. */
  reloading(): Promise<void> {
    return this.#tell('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  stopping(status?: string): Promise<void> {
    return this.#tell('STOPPING=1', statusLine(status));
  }

  /** @param text what it does, for `systemctl status`. A guest may have had a hand in it. */
  status(text: string): Promise<void> {
    return this.#tell(statusLine(text));
  }

  /** The service is well. */
  watchdog(): Promise<void> {
    return this.#tell('WATCHDOG=1');
  }

  /** Starting, stopping or whatever it does takes so many milliseconds more, from now. */
  extendTimeout(milliseconds: number): Promise<void> {
    return this.#tell(`EXTEND_TIMEOUT_USEC=${Math.ceil(milliseconds * 1000)}`);
  }

  #tell(...lines: readonly (string | number | undefined)[]): Promise<void> {
    const address = this.#address;
    if (address === undefined) return Promise.resolve();
    const text = lines.filter((line) => line).join('\n');
    this.#last = this.#last.then(() => this.#deliver(address, Buffer.from(text)));
    return this.#last;
  }

  async #deliver(address: string, data: Buffer): Promise<void> {
    this.#send ??= datagramSender(address).catch((error: unknown) => this.#trouble(address, messageOf(error)));
    const send = await this.#send;
    if (send === undefined) return;
    const deadline = performance.now() + (this.#failed ? 0 : PATIENCE);
    let failure = send(data);
    while (failure === constants.errno.EAGAIN && performance.now() < deadline) {
      await sleep(INTERVAL);
      failure = send(data);
    }
    if (failure === 0) this.#failed = false;
    else this.#trouble(address, `takes no message: ${getSystemErrorName(-failure)}`);
  }

  #trouble(address: string, what: string): undefined {
    if (!this.#failed) this.#onTrouble(`NOTIFY_SOCKET, ${quote(address)}, ${what}; systemd does not know the state`);
    this.#failed = true;
  }
}

/** A second line would be an assignment of its own. */
function statusLine(text: string | undefined): string | undefined {
  return text === undefined ? undefined : `STATUS=${oneLine(text.slice(0, SHOWN_CHARACTERS))}`;
}

/** In milliseconds. The variables of another process, which has passed them on, are not about this one. */
function watchdogPeriod(microseconds: string | undefined, pid: string | undefined): number | undefined {
  if (microseconds === undefined || !/^[0-9]{1,20}$/.test(microseconds)) return undefined;
  if (pid !== undefined && pid !== String(process.pid)) return undefined;
  const period = BigInt(microseconds);
  return period > 0n && period < MOST_MICROSECONDS ? Number(period) / 1000 : undefined;
}
