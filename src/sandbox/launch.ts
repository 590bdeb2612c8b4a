/** From what was prepared to a running application: state directory, domain, channel. Whatever fails on the way, nothing is left. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { SandboxConfig } from '../config/types.js';
import type { Connection, Domain } from '../libvirt/connection.js';
import { Monitor } from '../libvirt/monitor.js';
import { Channel } from '../protocol/channel.js';
import { mark } from '../util/marks.js';
import { mayRunEarly } from './devices/early-run.js';
import { domainXml, isMonitored } from './devices/machine-options.js';
import { makeFreshDirectories } from './devices/mounts.js';
import { makeShellDirectory } from './devices/shell.js';
import type { Prepared } from './prepare/prepared.js';
import { guestConfig } from './setup/guest-config.js';
import { copyOnHost, refuseHostDevices } from './setup/includes.js';
import { runPlan } from './setup/run-plan.js';
import { readyOf } from './snapshot/ready.js';
import { isRestoreError, loadMachine, reasonToBoot } from './snapshot/restore.js';
import { Console } from './start/console.js';
import { Deadline } from './start/deadline.js';
import { copyTimeoutError, goneError, timeoutError } from './start/failure.js';
import { goneReason } from './start/gone-reason.js';
import { lateDomain } from './start/late-domain.js';
import { runMachine } from './start/run-machine.js';
import { openLines, type Transports } from './start/transports.js';
import { claimState, releaseState, type StateDirectory } from './state/state.js';
import type { LaunchOptions } from './types.js';

/** A running application. */
export interface Launched {
  readonly name: string;
  readonly channel: Channel;
  readonly domain: Domain;
  readonly connection: Connection;
  readonly console: Console;
}

/**
 * Starts the machine and, in it, the application.
 * @throws {SandboxError} whatever failed; everything is cleaned up then, the connection included
 */
export async function launch(config: SandboxConfig, prepared: Prepared, options: LaunchOptions): Promise<Launched> {
  try {
    return await launchWarmOrCold(config, prepared, options);
  } catch (error) {
    await prepared.connection.close();
    throw error;
  }
}

/** A saved machine that cannot be gone on from has run nothing: the next is tried, each once, and then one is booted. */
async function launchWarmOrCold(config: SandboxConfig, prepared: Prepared, options: LaunchOptions): Promise<Launched> {
  if (prepared.platform === 'container' || prepared.snapshot === undefined)
    return launchOnce(config, prepared, options);
  try {
    return await launchOnce(config, prepared, options);
  } catch (error) {
    if (!isRestoreError(error)) throw error;
    const next = await prepared.snapshot.next();
    if (next === undefined && config.boot === 'warm') throw error;
    options.onChoice?.(`boot: ${next ? `warm, from ${next.directory}` : 'cold'}, because ${error.message}`);
    const instead = next ? { image: next.image, snapshot: next } : { snapshot: undefined };
    return launchWarmOrCold(config, { ...prepared, ...instead }, options);
  }
}

async function launchOnce(config: SandboxConfig, prepared: Prepared, options: LaunchOptions): Promise<Launched> {
  const { connection, name, devices } = prepared;
  const warm = prepared.platform === 'machine' ? prepared.snapshot : undefined;
  mark('launch.start', { name });
  const guest = { ...guestConfig(config, prepared, options.terminal), trace: options.trace };
  const console = new Console(options.onConsole);
  let state: StateDirectory | undefined;
  let domain: Domain | undefined;
  let starting: Promise<Domain> | undefined;
  let transports: Transports | undefined;
  const callingOff = new AbortController();
  /** A saved machine is loaded, and may be running. */
  let resumed = false;
  const limit = new Deadline(config.bootTimeout, options.signal);
  try {
    // Before there is anything that somebody would have to remove.
    const copying = copyOnHost(config, devices.mounts, 'given', options, () => limit.renew());
    await limit.bound(copying, () => copyTimeoutError(config.bootTimeout));
    await refuseHostDevices(config);
    state = claimState(name, connection.kind);
    makeFreshDirectories(config, devices.mounts);
    await copyOnHost(config, devices.mounts, 'fresh', options, () => limit.renew());
    transports = await openLines(connection.kind, state, console, isMonitored(config, prepared));
    const { shell } = devices;
    if (shell) makeShellDirectory(state.path);
    if (shell?.noConsole)
      options.onChoice?.(`shell: for --attach, and not for virsh console, because ${shell.noConsole}`);
    mark('listening');

    options.onProgress?.(`Starting domain ${name}`);
    mark('domain.create');
    starting = connection.start(domainXml(config, prepared, options, state.sockets), {
      stateDirectory: state.path,
      socketDirectory: state.sockets,
      name,
      calledOff: callingOff.signal,
      ...(options.terminalFd === undefined ? {} : { terminal: options.terminalFd }),
    });
    const created = starting.then((started) => {
      mark('domain.created');
      domain = started;
      return started;
    });
    const failed = created.then(async ({ stopped }): Promise<never> => {
      throw (await stopped).error ?? goneError(console, false);
    });
    const gone = new AbortController();
    failed.catch(() => gone.abort());
    const stop = { name, stateDirectory: state.path, ended: gone.signal };
    const bounded = <T>(promise: Promise<T>, reached: string): Promise<T> =>
      limit.bound(Promise.race([promise, failed]), () => timeoutError(console, config.bootTimeout, reached));

    const serve = (channel: Channel): Promise<void> =>
      prepared.platform === 'machine' && prepared.image.manifest.commonInit === 'guest'
        ? import('./setup/guest-init.js').then(({ startInGuest }) =>
            startInGuest(channel, config, guest, console, options, limit),
          )
        : runPlan({ channel, config, guest, console, options, limit, stop });
    let channel: Channel;
    if (warm) {
      const { sockets: socketDirectory } = state;
      const findQemu = () => connection.qemuPid({ name, socketDirectory });
      const loading = loadMachine(transports.monitor, warm, guest.lateDevices ? { name, findQemu } : undefined);
      loading.catch(() => {});
      channel = Channel.resume(await bounded(transports.channel(starting), transports.awaited));
      const monitor = await bounded(loading, 'the saved machine being loaded');
      resumed = true;
      options.onReady?.(readyOf(warm));
      const begun = serve(channel);
      if (mayRunEarly(config)) runMachine(monitor);
      await bounded(begun, 'the saved machine going on, its steps not done');
    } else {
      void transports.monitor?.then((socket) => runMachine(new Monitor(socket)));
      await limit.bound(created, () =>
        timeoutError(console, config.bootTimeout, 'libvirt being asked to start the domain'),
      );
      const transport = await bounded(transports.channel(starting), transports.awaited);
      const opening = Channel.open(transport);
      const opened = await bounded(opening, transports.unanswered).catch((error: unknown) => {
        transport.destroy();
        throw error;
      });
      channel = opened.channel;
      mark('ready', { ...opened.ready });
      options.onReady?.(opened.ready);
      await bounded(serve(channel), 'the init answering, its steps not done');
    }
    // With a saved machine the application may be done before libvirt is.
    return { name, channel, domain: await bounded(created, 'libvirt starting the domain'), connection, console };
  } catch (error) {
    const reason = warm && !resumed ? reasonToBoot(warm, error) : await goneReason(error, console, domain);
    // It may still be coming to be, and must not stay; the connection is in use until then.
    domain ??= await lateDomain(starting, callingOff);
    if (domain) await domain.destroy({ force: false });
    else if (state) {
      // Where descriptors have run out, those that were closed are free in the next turn only.
      transports?.close();
      await nextTurn();
      releaseState(state);
    }
    throw reason;
  } finally {
    limit.clear();
    transports?.close();
  }
}
