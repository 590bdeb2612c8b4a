/** From a config to a running application: image, domain, channel, plan, spawn. Whatever fails on the way, nothing is left. */
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { spawnApplication } from '../../init/common/application.js';
import type { GuestConfig } from '../../init/common/config.js';
import { drivePlan, type OperationReport, StepError } from '../../init/common/drive.js';
import { planSandbox } from '../../init/common/plan.js';
import { checkHost } from '../config/host-check.js';
import type { SandboxConfig } from '../config/types.js';
import { chooseAcceleration } from '../domain/acceleration.js';
import { kernelCommandLine } from '../domain/cmdline.js';
import { machineXml } from '../domain/machine.js';
import { SandboxError } from '../errors.js';
import { Channel } from '../guest/channel.js';
import type { GuestReady } from '../guest/codec.js';
import { OperationError } from '../guest/operations.js';
import { type BootImage, defaultStoreDirectory, resolveImage } from '../image/index.js';
import { connect } from '../libvirt/connect.js';
import type { Connection, Domain } from '../libvirt/connection.js';
import { hostProgram } from '../programs.js';
import { settlesWithin, unlessAborted } from '../promises.js';
import { Console } from './console.js';
import { goneError, spawnError, stepError, timeoutError } from './failure.js';
import { guestConfig, sharesOf, type Terminal } from './guest-config.js';
import { Listener } from './listener.js';
import { claimState, releaseState, type StateDirectory, stateBase } from './state.js';

/** How long a domain whose start was given up may take to come to be, in milliseconds. */
const LATE_MS = 10_000;

/** How long libvirt may take to tell of a QEMU that is gone, in milliseconds. */
const STOPPED_MS = 2000;

/** Told what happens on the way. All of them are optional. */
export interface Observers {
  /** What is being done, for a person who waits. */
  readonly onProgress?: (message: string) => void;
  /** A choice that was made, and why. */
  readonly onChoice?: (sentence: string) => void;
  /** Every byte of the guest's console. */
  readonly onConsole?: (chunk: Buffer) => void;
  readonly onReady?: (ready: GuestReady) => void;
  /** Every operation of the common init. */
  readonly onOperation?: (report: OperationReport) => void;
}

export interface LaunchOptions extends Observers {
  /** libvirt URI; undefined: LIBVIRT_DEFAULT_URI, else whatever is there. */
  readonly connect?: string | undefined;
  /** Show kernel messages and the init's steps on the console. */
  readonly debugInit?: boolean;
  /** The terminal of the application, where the config asks for one. */
  readonly terminal?: Terminal | undefined;
  /** The descriptor of the local terminal, whose settings must survive this process. */
  readonly terminalFd?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** All that a start needs and that can be had without starting anything. */
export interface Prepared {
  readonly name: string;
  readonly image: BootImage;
  readonly connection: Connection;
  readonly acceleration: 'kvm' | 'tcg';
}

/** A running application. */
export interface Launched {
  readonly name: string;
  readonly channel: Channel;
  readonly domain: Domain;
  readonly connection: Connection;
  readonly console: Console;
}

/** Finds or builds the image, and connects. */
export async function prepare(config: SandboxConfig, options: LaunchOptions): Promise<Prepared> {
  const name = config.name ?? `sandbox-${randomBytes(4).toString('hex')}`;
  const cacheDirectory = join(dirname(defaultStoreDirectory()), 'libvirt');
  await checkHost(config);
  // Before the image: somebody who named what cannot be reached is not to wait for a build.
  const connecting = connect({
    uri: options.connect,
    cacheDirectory,
    ...(options.onChoice ? { onChoice: options.onChoice } : {}),
  });
  const connection = await unlessAborted(connecting, options.signal, abortError).catch((error: unknown) => {
    // It may still come, and nobody would close it.
    connecting.then((late) => late.close()).catch(() => {});
    throw error;
  });
  try {
    const image = await unlessAborted(findImage(config, options), options.signal, abortError);
    options.onChoice?.(`kernel: ${image.reason}`);
    const probing = chooseAcceleration({
      wanted: config.acceleration,
      kernel: image.kernel,
      cacheDirectory: dirname(cacheDirectory),
      ...options,
    });
    const acceleration = await unlessAborted(probing, options.signal, abortError);
    return { name, image, connection, acceleration };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

function findImage(config: SandboxConfig, options: LaunchOptions): Promise<BootImage> {
  return resolveImage({
    kernel: config.kernel,
    sets: ['console', 'root-9p'],
    nativeInit: hostProgram('init'),
    ...(options.onProgress ? { onProgress: options.onProgress } : {}),
  });
}

/** The domain as libvirt is given it. */
export function domainXml(config: SandboxConfig, prepared: Prepared, options: LaunchOptions): string {
  const base = join(stateBase(), prepared.name);
  return machineXml({
    name: prepared.name,
    uuid: config.uuid,
    memory: config.memory,
    vcpus: config.vcpus,
    acceleration: prepared.acceleration,
    kernel: prepared.image.kernel,
    initrd: prepared.image.initrd,
    commandLine: kernelCommandLine(options.debugInit ?? false),
    shares: sharesOf(config),
    channelSocket: join(base, 'channel'),
    consoleSocket: join(base, 'console'),
  });
}

/**
 * Starts the machine and, in it, the application.
 * @throws {SandboxError} whatever failed; everything is cleaned up then, the connection included
 */
export async function launch(config: SandboxConfig, prepared: Prepared, options: LaunchOptions): Promise<Launched> {
  const { connection, name } = prepared;
  const guest = guestConfig(config, name, options.terminal);
  const console = new Console(options.onConsole);
  let state: StateDirectory | undefined;
  let domain: Domain | undefined;
  let starting: Promise<Domain> | undefined;
  const listeners: Listener[] = [];
  const limit = new Deadline(config.bootTimeout, options.signal);
  try {
    state = claimState(name);
    const channelListener = await Listener.open(state.channelSocket);
    listeners.push(channelListener);
    const consoleListener = await Listener.open(state.consoleSocket);
    listeners.push(consoleListener);
    void consoleListener.connection.then((socket) => console.attach(socket));

    options.onProgress?.(`Starting domain ${name}`);
    starting = connection.start(domainXml(config, prepared, options), {
      stateDirectory: state.path,
      name,
      ...(options.terminalFd === undefined ? {} : { terminal: options.terminalFd }),
    });
    domain = await limit.bound(starting, () =>
      timeoutError(console, config.bootTimeout, 'libvirt being asked to start the domain'),
    );
    const stopped = domain.stopped.then(({ error }): never => {
      throw error ?? goneError(console, false);
    });
    stopped.catch(() => {});
    const bounded = <T>(promise: Promise<T>, reached: string): Promise<T> =>
      limit.bound(Promise.race([promise, stopped]), () => timeoutError(console, config.bootTimeout, reached));

    const socket = await bounded(channelListener.connection, 'QEMU being started');
    const opening = Channel.open(socket);
    const { channel, ready } = await bounded(opening, 'the machine running, its kernel or init not answering').catch(
      (error: unknown) => {
        socket.destroy();
        throw error;
      },
    );
    options.onReady?.(ready);
    await bounded(start(channel, guest, console, options), 'the init answering, its steps not done');
    return { name, channel, domain, connection, console };
  } catch (error) {
    const reason = await refine(error, console, domain);
    try {
      // It may still be coming to be, and must not stay; the connection is in use until then.
      if (!domain && starting && (await settlesWithin(starting, LATE_MS))) {
        domain = await starting.catch(() => undefined);
      }
      if (domain) await domain.end(true);
      else if (state) releaseState(state);
    } finally {
      await connection.close();
    }
    throw reason;
  } finally {
    limit.clear();
    for (const listener of listeners) listener.close();
  }
}

/** Drives the plan, and starts the application behind it. */
async function start(channel: Channel, guest: GuestConfig, console: Console, options: LaunchOptions): Promise<void> {
  const now = BigInt(Date.now());
  const plan = planSandbox(guest, {
    now: { seconds: now / 1000n, nanoseconds: Number(now % 1000n) * 1_000_000 },
    entropy: randomBytes(64),
  });
  const driving = drivePlan(channel, plan, options.onOperation);
  // It stands behind the plan in the guest's queue; where the plan fails, it is skipped there.
  const spawning = spawnApplication(channel, guest);
  spawning.catch(() => {});
  try {
    await driving;
  } catch (error) {
    throw error instanceof StepError ? stepError(error, console) : error;
  }
  try {
    await spawning;
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    throw spawnError(error, guest.command[0] ?? '', guest.cwd);
  }
}

/** The channel only knows that it broke; the console knows more, and so does libvirt where QEMU never ran the machine. */
async function refine(error: unknown, console: Console, domain: Domain | undefined): Promise<unknown> {
  if (!(error instanceof SandboxError) || error.code !== 'guest-gone' || error.consoleTail.length > 0) return error;
  if (domain && (await settlesWithin(domain.stopped, STOPPED_MS))) {
    const { error: refused } = await domain.stopped;
    if (refused) return refused;
  }
  return goneError(console, false);
}

function abortError(cause: unknown): SandboxError {
  return new SandboxError({
    stage: 'boot',
    code: 'aborted',
    message: 'the start was called off',
    remedy: 'start it again',
    cause,
  });
}

/** The time that a boot may take, and the caller's wish to call it off. */
class Deadline {
  readonly #expired: Promise<void>;
  readonly #timer: NodeJS.Timeout;
  readonly #signal: AbortSignal | undefined;

  constructor(milliseconds: number, signal: AbortSignal | undefined) {
    let timer!: NodeJS.Timeout;
    this.#expired = new Promise((resolve) => {
      timer = setTimeout(resolve, milliseconds);
    });
    this.#timer = timer;
    this.#signal = signal;
  }

  bound<T>(promise: Promise<T>, expired: () => Error): Promise<T> {
    const late = this.#expired.then((): never => {
      throw expired();
    });
    late.catch(() => {});
    return unlessAborted(Promise.race([promise, late]), this.#signal, abortError);
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}
