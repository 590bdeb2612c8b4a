/**
 * Starts what was prepared: claims the name, starts the domain, sets up the guest. If anything fails, nothing is left.
 */
import type { GuestConfig } from '../../init/common/config.js';
import type { SandboxConfig } from '../config/types.js';
import type { Emulator } from '../domain/machine.js';
import type { Share } from '../domain/shares.js';
import type { Connection, Domain } from '../libvirt/connection.js';
import { Monitor } from '../libvirt/monitor.js';
import { Channel } from '../protocol/channel.js';
import { mark } from '../util/marks.js';
import { mayRunEarly } from './devices/early-run.js';
import { domainXml, isMonitored } from './devices/machine-options.js';
import { makeFreshDirectories } from './devices/mounts.js';
import { gapsOfWall, makeWall, needsWall, reasonAgainstWall, sandboxRules } from './devices/qemu-wall.js';
import { linkToAll, seesAll, viewCommand } from './devices/root-view.js';
import { ROOT_TAG } from './devices/shares.js';
import { makeShellDirectory } from './devices/shell.js';
import { userNetworkCommand, userNetworkOf } from './devices/user-network.js';
import type { Prepared } from './prepare/prepared.js';
import { guestConfig } from './setup/guest-config.js';
import { copyOnHost, refuseHostDevices } from './setup/includes.js';
import { runPlan } from './setup/run-plan.js';
import type { SnapshotChoice } from './snapshot/find.js';
import { readyOf } from './snapshot/ready.js';
import { isRestoreError, loadMachine, reasonToBoot } from './snapshot/restore.js';
import { copyTimeoutError } from './start/boot-errors.js';
import type { Console } from './start/console.js';
import { DomainRun } from './start/domain-run.js';
import { copyBootFiles, isKernelGivenAway } from './start/own-kernel.js';
import { runMachine } from './start/run-machine.js';
import type { TransportOptions, Transports } from './start/transports.js';
import { UserNetworkProcesses } from './start/user-network.js';
import { containerIds } from './state/container-ids.js';
import { networkUser, type QemuUser, qemuUser } from './state/qemu-user.js';
import type { LaunchOptions } from './types.js';

const NO_BARRIER =
  "a privileged container is no barrier: root inside is root of the host's kernel; " +
  'run what you do not trust without -p, or in a machine (-c qemu:///embed)';

/** A running application. */
export interface Launched {
  readonly name: string;
  readonly channel: Channel;
  readonly domain: Domain;
  readonly connection: Connection;
  readonly console: Console;
  /** What serves the user networking; undefined: there is none, or QEMU serves it. */
  readonly network: UserNetworkProcesses | undefined;
}

/**
 * Starts the domain and, in it, the application.
 * @throws {SandboxError} if anything fails; nothing is left then, and the connection is closed
 */
export async function launch(config: SandboxConfig, prepared: Prepared, options: LaunchOptions): Promise<Launched> {
  if (prepared.platform === 'container' && config.privileged === true) options.onWarning?.(NO_BARRIER);
  try {
    return await launchWarmOrCold(config, prepared, options);
  } catch (error) {
    await prepared.connection.close();
    throw error;
  }
}

/** A snapshot that fails to load has executed nothing, so try the next one, each once, then boot cold. */
async function launchWarmOrCold(config: SandboxConfig, prepared: Prepared, options: LaunchOptions): Promise<Launched> {
  if (prepared.platform === 'container' || prepared.snapshot === undefined)
    return new Launch(config, prepared, options).start();
  try {
    return await new Launch(config, prepared, options).start();
  } catch (error) {
    if (!isRestoreError(error)) throw error;
    const next = await prepared.snapshot.next();
    if (next === undefined && config.boot === 'warm') throw error;
    options.onChoice?.(`boot: ${next ? `warm, from ${next.directory}` : 'cold'}, because ${error.message}`);
    const instead = next ? { image: next.image, snapshot: next } : { snapshot: undefined };
    return launchWarmOrCold(config, { ...prepared, ...instead }, options);
  }
}

/** docs/security.md says why it may be so. */
const ALL_IS_SEEN =
  "the sandbox sees all of the host's files that its user may read, also /proc and keys: this host allows no view of " +
  'them (docs/security.md)';

/** One attempt: a domain that boots, or that is restored from a snapshot. */
class Launch {
  readonly #config: SandboxConfig;
  readonly #prepared: Prepared;
  readonly #options: LaunchOptions;
  #guest: GuestConfig;
  readonly #snapshot: SnapshotChoice | undefined;
  readonly #run: DomainRun;
  #user: QemuUser | undefined;
  #network: UserNetworkProcesses | undefined;
  /** A snapshot is loaded, and its machine may be running. */
  #isLoaded = false;

  constructor(config: SandboxConfig, prepared: Prepared, options: LaunchOptions) {
    const { connection, name } = prepared;
    const { signal, onConsole } = options;
    mark('launch.start', { name });
    this.#config = config;
    this.#prepared = prepared;
    this.#options = options;
    this.#guest = { ...guestConfig(config, prepared, options.terminal), trace: options.trace };
    this.#snapshot = prepared.platform === 'machine' ? prepared.snapshot : undefined;
    this.#run = new DomainRun({ connection, name, timeout: config.bootTimeout, signal, onConsole });
  }

  /** @throws {SandboxError} whatever failed; nothing is left then */
  async start(): Promise<Launched> {
    const { connection, name } = this.#prepared;
    try {
      await this.#copyIncludes();
      const transports = await this.#claim();
      mark('listening');
      this.#options.onProgress?.(`Starting domain ${name}`);
      const { sockets } = this.#run.state;
      const confinement = { user: this.#user, emulator: this.#confineQemu() };
      const xml = domainXml(this.#config, await this.#withOwnKernel(), this.#options, sockets, confinement);
      this.#run.start(xml, this.#viewRoot(), this.#options.terminalFd);
      const channel = this.#snapshot ? await this.#restore(this.#snapshot, transports) : await this.#boot(transports);
      // A restored machine may have run the application before libvirt has finished starting the domain.
      const domain = await this.#run.within(this.#run.domain, 'libvirt starting the domain');
      this.#warnIfAllIsSeen();
      this.#tellGaps();
      return { name, channel, domain, connection, console: this.#run.console, network: this.#network };
    } catch (error) {
      const reason =
        this.#snapshot && !this.#isLoaded ? reasonToBoot(this.#snapshot, error) : await this.#run.reasonFor(error);
      await this.#run.end({ force: false });
      await this.#network?.end();
      throw reason;
    } finally {
      this.#run.release();
    }
  }

  /** Comes first, when there is nothing yet to remove if it fails. */
  async #copyIncludes(): Promise<void> {
    const { deadline } = this.#run;
    const { mounts } = this.#prepared.devices;
    const copying = copyOnHost(this.#config, mounts, 'given', this.#options, () => deadline.renew());
    await deadline.bound(copying, () => copyTimeoutError(this.#config.bootTimeout));
    await refuseHostDevices(this.#config);
  }

  /** Claims the name, and makes the directories and sockets that the domain needs. */
  async #claim(): Promise<Transports> {
    const { deadline } = this.#run;
    const { mounts, shell } = this.#prepared.devices;
    const { path } = this.#run.claim();
    const prepared = this.#prepared;
    if (prepared.platform === 'machine') {
      const { acceleration, devices } = prepared;
      this.#user = qemuUser(path, prepared.connection.kind, { acceleration, hasDisks: devices.disks.length > 0 });
    } else if (!this.#guest.privileged) {
      this.#guest = { ...this.#guest, idMap: containerIds(path, this.#config.identity) };
    }
    makeFreshDirectories(this.#config, mounts);
    await copyOnHost(this.#config, mounts, 'fresh', this.#options, () => deadline.renew());
    const monitored = isMonitored(this.#config, prepared);
    const network = this.#serveNetwork(path);
    const transports = await this.#run.open({ monitored, owner: this.#user?.uid, network });
    if (shell) makeShellDirectory(path);
    if (shell?.noConsole)
      this.#options.onChoice?.(`shell: for --attach, and not for virsh console, because ${shell.noConsole}`);
    return transports;
  }

  #serveNetwork(stateDirectory: string): TransportOptions['network'] {
    const wanted = userNetworkOf(this.#prepared.devices);
    if (wanted === undefined) return undefined;
    const command = userNetworkCommand(this.#prepared.name, wanted, networkUser(stateDirectory));
    const processes = new UserNetworkProcesses(command, wanted);
    this.#network = processes;
    return { count: wanted.count, serve: (connection) => processes.serve(connection) };
  }

  /** A machine that boots gets copies of kernel and initrd if libvirt gives them to QEMU's user. */
  async #withOwnKernel(): Promise<Prepared> {
    const prepared = this.#prepared;
    if (prepared.platform === 'container' || this.#snapshot !== undefined) return prepared;
    const hasDisks = prepared.devices.disks.length > 0;
    if (!isKernelGivenAway(prepared.connection.kind, this.#user, hasDisks)) return prepared;
    const own = await copyBootFiles(prepared.image, this.#run.state);
    return { ...prepared, image: { ...prepared.image, ...own } };
  }

  /** The command that makes the view of the host's files; undefined if there is none to be made. */
  #viewRoot(): string[] | undefined {
    const share = this.#rootShare();
    if (share === undefined) return undefined;
    const { connection, devices } = this.#prepared;
    const hasNetwork = devices.interfaces.some(({ passt }) => passt === undefined);
    const facts = { name: this.#run.name, kind: connection.kind, directory: share.directory, hasNetwork };
    const command = viewCommand(this.#config, facts);
    if (command === undefined) linkToAll(this.#config, facts);
    return command;
  }

  /** Undefined: the root is something else, or a container's. */
  #rootShare(): Share | undefined {
    const { platform, devices } = this.#prepared;
    return platform === 'machine' ? devices.shares.find(({ tag }) => tag === ROOT_TAG) : undefined;
  }

  #confineQemu(): Emulator | undefined {
    const prepared = this.#prepared;
    if (prepared.platform === 'container' || !needsWall(prepared.connection.kind)) return undefined;
    const reason = reasonAgainstWall(prepared);
    if (reason === undefined) return makeWall(this.#run.state.path, sandboxRules(prepared));
    this.#options.onChoice?.(`security: QEMU can do what its user can, because ${reason}`);
    return undefined;
  }

  #tellGaps(): void {
    const gaps = this.#options.onChoice && gapsOfWall(this.#run.state.path);
    if (gaps !== undefined) this.#options.onChoice?.(`security: ${gaps}`);
  }

  #warnIfAllIsSeen(): void {
    if (this.#rootShare() === undefined || !seesAll(this.#config, this.#run.name)) return;
    this.#options.onWarning?.(ALL_IS_SEEN);
  }

  async #restore(snapshot: SnapshotChoice, transports: Transports): Promise<Channel> {
    const run = this.#run;
    const sharing = this.#guest.lateDevices ? { name: run.name, findQemu: () => run.qemuPid() } : undefined;
    const loading = loadMachine(transports.monitor, snapshot, sharing);
    loading.catch(() => {});
    const channel = Channel.resume(await run.within(transports.channel(run.domain), transports.awaited));
    const monitor = await run.within(loading, 'QEMU loading the snapshot');
    this.#isLoaded = true;
    this.#options.onReady?.(readyOf(snapshot));
    const begun = this.#setUp(channel);
    if (mayRunEarly(this.#config)) runMachine(monitor);
    await run.within(begun, 'the snapshot running, its steps not done');
    return channel;
  }

  async #boot(transports: Transports): Promise<Channel> {
    const run = this.#run;
    void transports.monitor?.then((socket) => runMachine(new Monitor(socket)));
    await run.within(run.domain, 'asking libvirt to start the domain');
    const transport = await run.within(transports.channel(run.domain), transports.awaited);
    const opening = Channel.open(transport);
    const { channel, ready } = await run.within(opening, transports.unanswered).catch((error: unknown) => {
      transport.destroy();
      throw error;
    });
    mark('ready', { ...ready });
    this.#options.onReady?.(ready);
    await run.within(this.#setUp(channel), 'the init answering, its steps not done');
    return channel;
  }

  /** From a guest that answers to a running application whose network is served. */
  async #setUp(channel: Channel): Promise<void> {
    const running = this.#setUpGuest(channel);
    if (this.#network === undefined) return running;
    const { connected, failed } = this.#network;
    await Promise.race([Promise.all([running, connected]), failed]);
  }

  async #setUpGuest(channel: Channel): Promise<void> {
    const { name, console, deadline, state, gone } = this.#run;
    const prepared = this.#prepared;
    const answering = {
      channel,
      config: this.#config,
      guest: this.#guest,
      console,
      options: this.#options,
      deadline,
    };
    if (prepared.platform === 'machine' && prepared.image.manifest.commonInit === 'guest') {
      const { startInGuest } = await import('./setup/guest-init.js');
      return startInGuest(answering);
    }
    return runPlan({ ...answering, stop: { name, stateDirectory: state.path, ended: gone } });
  }
}
