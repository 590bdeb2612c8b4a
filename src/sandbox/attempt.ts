/**
 * One attempt to start what was prepared: claims the name, starts the domain, sets up the guest. If anything fails,
 * nothing is left.
 */
import type { GuestConfig } from '../../init/common/config.js';
import { detachSlots } from '../../init/common/slots.js';
import type { SandboxConfig } from '../config/types.js';
import type { Domain } from '../libvirt/connection.js';
import { Monitor } from '../libvirt/monitor.js';
import { Channel } from '../protocol/channel.js';
import { SandboxError } from '../util/errors.js';
import { awaitsPicture, mark } from '../util/marks.js';
import { mayRunEarly } from './devices/early-run.js';
import { type Hiding, hidingOf } from './devices/hidden-paths.js';
import { domainXml } from './devices/machine-options.js';
import { makeFreshDirectories } from './devices/mounts.js';
import { prepareOverlay } from './devices/overlay-server.js';
import { makeRootServer } from './devices/root-server.js';
import { makeShellDirectory } from './devices/shell.js';
import { allSlots, sharesMemory } from './devices/slots.js';
import { userNetworkCommand, userNetworkOf } from './devices/user-network.js';
import { partsOfDomain, rootShareOf } from './domain-parts.js';
import { failureReason } from './failure-reason.js';
import { factsOf, type Launched } from './launched.js';
import type { Prepared } from './prepare/prepared.js';
import { wantsSmallPages } from './prepare/small-pages.js';
import { QemuRights } from './qemu-rights.js';
import type { ScreenStart } from './screen/open-screen.js';
import type { HeldScreen } from './screen/types.js';
import { guestConfig } from './setup/guest-config.js';
import { copyOnHost, refuseHostDevices } from './setup/includes.js';
import { runPlan } from './setup/run-plan.js';
import type { SnapshotChoice } from './snapshot/find.js';
import { readyOf } from './snapshot/ready.js';
import { loadMachine } from './snapshot/restore.js';
import { type MachineSound, openSound } from './sound/open-sound.js';
import { copyTimeoutError } from './start/boot-errors.js';
import { watchDisks } from './start/disk-watch.js';
import { DomainRun } from './start/domain-run.js';
import { runBooting, runRestored } from './start/run-machine.js';
import { ShareWatch, watchedShares } from './start/share-watch.js';
import type { TransportOptions, Transports } from './start/transports.js';
import { UserNetworkProcesses } from './start/user-network.js';
import { containerIds } from './state/container-ids.js';
import { networkUser } from './state/qemu-user.js';
import { makeRoomForSystemd } from './state/systemd-group.js';
import type { LaunchOptions } from './types.js';
import { asUnserved } from './unserved-root.js';
import { commandBefore, warnIfAllIsSeen } from './view-of-root.js';

/** One attempt: a domain that boots, or that is restored from a snapshot. */
export class Attempt {
  readonly #config: SandboxConfig;
  readonly #prepared: Prepared;
  readonly #options: LaunchOptions;
  #guest: GuestConfig;
  /** Undefined: the guest hides nothing. */
  #hiding: Hiding | undefined;
  readonly #snapshot: SnapshotChoice | undefined;
  readonly #run: DomainRun;
  readonly #shares: ShareWatch;
  readonly #sharesUser: boolean;
  /** Undefined: a container, or not claimed yet. */
  #qemu: QemuRights | undefined;
  #network: UserNetworkProcesses | undefined;
  #monitor: Monitor | undefined;
  /** Undefined: it has no screen. */
  #screen: ScreenStart | undefined;
  #sound: MachineSound | undefined;
  /** A snapshot is loaded, and its machine may be running. */
  #isLoaded = false;
  #hasBegun = false;
  /** The application runs. */
  #isRunning = false;

  /** @param sharesUser QEMU has the user of other sandboxes too, to which libvirt gives the disks */
  constructor(config: SandboxConfig, prepared: Prepared, options: LaunchOptions, sharesUser = false) {
    const { connection, name } = prepared;
    const { signal, onConsole } = options;
    mark('launch.start', { name });
    this.#config = config;
    this.#prepared = prepared;
    this.#options = options;
    this.#sharesUser = sharesUser;
    this.#guest = { ...guestConfig(config, prepared, options), trace: options.trace };
    this.#snapshot = prepared.platform === 'machine' ? prepared.snapshot : undefined;
    this.#shares = new ShareWatch(watchedShares(prepared.devices));
    this.#run = new DomainRun({ connection, name, timeout: config.bootTimeout, signal, onConsole });
  }

  /** The guest was sent an operation, so the command may have run. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** @throws {SandboxError} whatever failed, `UnservedRoot` if it was the root's server; nothing is left then */
  async start(): Promise<Launched> {
    const { name } = this.#prepared;
    try {
      await this.#copyIncludes();
      await this.#beginScreen();
      const transports = await this.#claim();
      mark('listening');
      this.#options.onProgress?.(`Starting domain ${name}`);
      const { sockets } = this.#run.state;
      const confinement = this.#qemu?.confine(this.#options);
      const { user, ownDisks } = this.#qemu ?? {};
      const found = { user, disks: ownDisks?.disks, state: this.#run.state };
      const parts = await partsOfDomain(this.#prepared, found);
      const xml = domainXml(this.#config, parts, this.#options, sockets, confinement);
      this.#hideNow();
      const disks = ownDisks?.words ?? [];
      const before = commandBefore(this.#config, this.#prepared, { name, sockets, disks, client: user?.uid });
      const { terminalFd } = this.#options;
      this.#run.start(xml, {
        ...(before === undefined ? {} : { before }),
        ...(ownDisks === undefined ? {} : { sources: ownDisks.sources }),
        ...(terminalFd === undefined ? {} : { terminal: terminalFd }),
        smallPages: wantsSmallPages(this.#prepared),
        outlivesDaemon: this.#config.service !== undefined || this.#options.outlivesDaemon === true,
      });
      this.#run.domain.then(
        (started) => this.#shares.begin(started),
        () => {},
      );
      const channel = this.#snapshot
        ? await this.#restore(this.#snapshot, transports, xml)
        : await this.#boot(transports);
      this.#isRunning = true;
      // A restored machine may have run the application before libvirt has finished starting the domain.
      const domain = await this.#run.within(this.#run.domain, 'libvirt starting the domain');
      warnIfAllIsSeen(this.#config, this.#prepared, this.#options);
      const gaps = this.#qemu?.gaps();
      if (gaps !== undefined) this.#options.onChoice?.(`security: ${gaps}`);
      return this.#launched(channel, domain, await this.#openScreen(channel));
    } catch (error) {
      this.#shares.end();
      this.#screen?.giveUp();
      // A port that is taken is no fault of the snapshot.
      const isEarly = this.#config.graphics !== undefined && this.#screen === undefined;
      const restoring = this.#isLoaded || isEarly ? undefined : this.#snapshot;
      const [hasBegun, isRunning] = [this.#hasBegun, this.#isRunning];
      const reached = { run: this.#run, guest: this.#guest, restoring, hasBegun, isRunning };
      const reason = asUnserved(await failureReason(error, this.#config, this.#prepared, reached), hasBegun);
      // Why it failed counts more than what cannot be removed.
      const ending = this.#run.end({ force: false }).catch((failure: unknown) => this.#tellFailure(failure));
      await ending.finally(async () => {
        this.#qemu?.givenDisks?.giveBack();
        await Promise.all([this.#sound?.close(), this.#network?.end()]);
      });
      throw reason;
    } finally {
      this.#run.release();
    }
  }

  /** Comes right behind the list of the host's mounts: what a mount shows that has come since is to be hidden as well. */
  #hideNow(): void {
    if (this.#prepared.devices.coversHidden) this.#hiding = hidingOf(this.#config);
  }

  async #beginScreen(): Promise<void> {
    const { graphics } = this.#config;
    if (graphics === undefined) return;
    const { ScreenStart } = await import('./screen/open-screen.js');
    this.#screen = await ScreenStart.begin(graphics, this.#config.clipboard);
  }

  async #openScreen(channel: Channel): Promise<HeldScreen | undefined> {
    return this.#screen?.open(this.#monitor, this.#run.state.path, channel, this.#guest, this.#options);
  }

  #launched(channel: Channel, domain: Domain, screen: HeldScreen | undefined): Launched {
    const { connection } = this.#prepared;
    const { console, state } = this.#run;
    const [guest, network, givenDisks, shares] = [this.#guest, this.#network, this.#qemu?.givenDisks, this.#shares];
    const [monitor, qemuPid] = [this.#monitor, () => this.#run.qemuPid()];
    const served = { network, givenDisks, shares, monitor, screen, sound: this.#sound, qemuPid };
    return { ...factsOf(this.#config, this.#prepared), channel, state, guest, domain, connection, console, ...served };
  }

  #tellFailure(error: unknown): void {
    if (!(error instanceof SandboxError)) throw error;
    this.#options.onWarning?.(`${error.message}; ${error.remedy}`);
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
      this.#qemu = new QemuRights(prepared, path, this.#sharesUser);
      await prepared.saving?.makeFiles(this.#qemu.user);
      makeRootServer(rootShareOf(prepared), path);
    } else if (!this.#guest.privileged) {
      this.#guest = {
        ...this.#guest,
        idMap: containerIds(path, this.#config.identity, this.#config.root.type === 'image'),
      };
    }
    await prepareOverlay(this.#config, prepared.devices.shares, path, prepared.platform);
    makeFreshDirectories(this.#config, mounts);
    await copyOnHost(this.#config, mounts, 'fresh', this.#options, () => deadline.renew());
    const monitored = prepared.platform === 'machine';
    const network = this.#serveNetwork(path);
    const transports = await this.#run.open({ monitored, owner: this.#qemu?.user?.uid, network });
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

  /** The machine's monitor, before the machine runs. */
  #hold(monitor: Monitor): void {
    this.#monitor = monitor;
    watchDisks(monitor, this.#prepared.devices.disks, (sentence) => this.#options.onWarning?.(sentence));
  }

  async #restore(snapshot: SnapshotChoice, transports: Transports, xml: string): Promise<Channel> {
    const run = this.#run;
    const sharing = sharesMemory(snapshot.slotted) ? { name: run.name, findQemu: () => run.qemuPid() } : undefined;
    // Nobody writes to an image of the store.
    const reads = this.#prepared.devices.disks.some(({ readOnly, keepsOwner }) => readOnly && keepsOwner !== true);
    const loading = loadMachine(transports.monitor, snapshot, sharing, reads);
    loading.catch(() => {});
    const { process } = snapshot.record.prepared ?? {};
    const transport = await run.within(transports.channel(run.domain), transports.awaited);
    const channel = Channel.resume(transport, process === undefined ? [] : [process]);
    const monitor = await run.within(loading, 'QEMU loading the snapshot');
    this.#isLoaded = true;
    this.#hold(monitor);
    this.#options.onReady?.(readyOf(snapshot));
    const facts = { name: run.name, xml, sources: this.#qemu?.ownDisks?.sources };
    const running = { ...facts, mayRunEarly: mayRunEarly(this.#config), started: run.domain };
    const begun = Promise.all([this.#setUp(channel), runRestored(monitor, running)]);
    await run.within(begun, 'the snapshot running, its steps not done');
    return channel;
  }

  async #boot(transports: Transports): Promise<Channel> {
    const run = this.#run;
    void transports.monitor?.then((socket) => {
      const monitor = new Monitor(socket);
      this.#hold(monitor);
      if (mayRunEarly(this.#config)) runBooting(monitor);
    });
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
    // Nothing has run yet that could take QEMU over: throws where it is not confined.
    this.#qemu?.gaps();
    this.#sound = await openSound(this.#config, this.#monitor, this.#run.name, this.#options);
    this.#hasBegun = true;
    const running = Promise.race([this.#setUpGuest(channel), this.#shares.failed]);
    if (this.#network === undefined) return running;
    const { connected, failed } = this.#network;
    await Promise.race([Promise.all([running, connected]), failed]);
  }

  async #setUpGuest(channel: Channel): Promise<void> {
    const { name, console, deadline, state, gone } = this.#run;
    const prepared = this.#prepared;
    if (prepared.platform === 'container') makeRoomForSystemd(this.#guest, (await this.#run.domain).controller);
    const [config, guest, options] = [this.#config, this.#guest, this.#options];
    const answering = { channel, config, guest, console, options, deadline };
    if (prepared.platform === 'machine' && prepared.image.manifest.commonInit === 'guest') {
      const { startInGuest } = await import('./setup/guest-init.js');
      return startInGuest(answering);
    }
    const stop = { name, stateDirectory: state.path, ended: gone };
    if (prepared.platform === 'machine' && prepared.saving) await detachSlots(channel, allSlots(prepared.saving.slots));
    const restored = this.#snapshot?.record.prepared;
    const onScreen = await this.#pictureWatch();
    this.#guest = await runPlan({ ...answering, hiding: this.#hiding, restored, stop, onScreen });
  }

  /** Only for starts that are measured. */
  async #pictureWatch(): Promise<(() => Promise<void>) | undefined> {
    const monitor = this.#monitor;
    if (!awaitsPicture() || monitor === undefined) return undefined;
    const { awaitPicture } = await import('./screen/first-picture.js');
    return () => awaitPicture(monitor);
  }
}
