/** Bakes snapshots: boots a machine until its init waits for the first operation, and saves it. */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { detachSlots } from '../../init/common/slots.js';
import type { Slots } from '../config/parsers/slots.js';
import type { SandboxConfig } from '../config/types.js';
import { type Emulator, machineXml } from '../domain/machine.js';
import { monitorArguments } from '../domain/monitor.js';
import { ownerLabel } from '../domain/security.js';
import { isVirtiofs, type Share } from '../domain/shares.js';
import { savedMachineArguments } from '../domain/snapshot.js';
import { publishSnapshot, type SnapshotFacts } from '../image/snapshot/publish.js';
import { SNAPSHOT_EMPTY, SNAPSHOT_MEMORY, SNAPSHOT_STATE, type Snapshot } from '../image/snapshot/record.js';
import { imageRef } from '../image/store/open.js';
import { Monitor } from '../libvirt/monitor.js';
import { profileCalled } from '../profile/load.js';
import { Channel } from '../protocol/channel.js';
import type { GuestReady } from '../protocol/ready.js';
import { SandboxError } from '../util/errors.js';
import { confineQemu, gapsOfWall, type Rule } from './devices/qemu-wall.js';
import { makeRootServer, savedRoot, serverError, withSockets } from './devices/root-server.js';
import { isRoot } from './devices/shares.js';
import { allSlots } from './devices/slots.js';
import { rootShareOf } from './domain-parts.js';
import { prepare } from './prepare/prepare.js';
import type { PreparedMachine } from './prepare/prepared.js';
import { factsOfSaved, makeSavedFiles, saveState } from './save-machine.js';
import { hostNeeds } from './snapshot/host-needs.js';
import { clearMemory, dropZeros } from './snapshot/lean-memory.js';
import { type SnapshotShape, savedMachine } from './snapshot/machine.js';
import { DomainRun } from './start/domain-run.js';
import { type BootFiles, copyBootFiles, isKernelGivenAway } from './start/own-kernel.js';
import { ShareWatch, watchedShares } from './start/share-watch.js';
import type { Transports } from './start/transports.js';
import { type QemuUser, qemuUser } from './state/qemu-user.js';
import type { StateDirectory } from './state/state-directory.js';
import type { LaunchOptions } from './types.js';
import { asUnserved, withOtherRoot } from './unserved-root.js';
import { commandBefore } from './view-of-root.js';

/**
 * Bakes a snapshot of a machine like that of `config`, with slots for the devices of sandboxes. It replaces an older
 * one.
 * @throws {SandboxError} what a boot may throw; `warm-save-failed`, `store-not-writable`, `disk-full`, `aborted`
 */
export async function bakeSnapshot(config: SandboxConfig, slots: Slots, options: LaunchOptions): Promise<Snapshot> {
  // A snapshot has slots instead of the sandbox's devices.
  const name = `bake-${randomBytes(4).toString('hex')}`;
  const machine: SandboxConfig = { ...config, name, mounts: [], disks: [], networks: [], boot: 'cold' };
  const prepared = await prepare(machine, options);
  try {
    if (prepared.platform === 'container') throw containerError(prepared.connection.uri);
    if (prepared.fallback !== undefined) options.onFallback?.(prepared.fallback);
    return await bakePrepared(machine, prepared, slots, options).catch(async (error: unknown) => {
      const instead = await withOtherRoot(prepared, error, options);
      if (instead === undefined) throw error;
      return bakePrepared(machine, instead, slots, options);
    });
  } catch (error) {
    throw options.signal?.aborted ? abortedError(error) : error;
  } finally {
    await prepared.connection.close();
  }
}

async function bakePrepared(
  machine: SandboxConfig,
  prepared: PreparedMachine,
  slots: Slots,
  options: LaunchOptions,
): Promise<Snapshot> {
  const { acceleration, profile } = prepared;
  const { sets } = prepared.image.manifest;
  const { memory, vcpus } = machine;
  const card = prepared.devices.screen;
  const screen = card && { width: card.width, height: card.height };
  const root = rootShareOf(prepared)?.transport === 'virtiofs' ? 'virtiofs' : undefined;
  const shape: SnapshotShape = { memory, vcpus, acceleration, profile, slots, root, screen, sets };
  const called = profileCalled(options.profile ?? machine.profile);
  const baker = new Baker(machine, withSavedRoot(prepared), shape, called, options);
  return publishSnapshot(directoryFor(machine, prepared, options), (made) => baker.save(made), options.signal);
}

/** What vacant slots share. */
export function makeEmpty(directory: string): string {
  const empty = join(directory, SNAPSHOT_EMPTY);
  mkdirSync(empty);
  chmodSync(empty, 0o555);
  return empty;
}

/** Where the snapshot is kept: with its boot image. A named directory stays outside the store, which has a copy. */
export function directoryFor({ image }: SandboxConfig, prepared: PreparedMachine, options: LaunchOptions): string {
  const named = options.image ?? image;
  return named === undefined ? prepared.image.directory : imageRef(named).directory;
}

/** The same machine, with the root of one that is saved. */
function withSavedRoot(prepared: PreparedMachine): PreparedMachine {
  const shares = prepared.devices.shares.map((share) =>
    isRoot(share) && isVirtiofs(share) ? savedRoot(share) : share,
  );
  return { ...prepared, devices: { ...prepared.devices, shares } };
}

interface BakedMachine {
  readonly name: string;
  readonly state: StateDirectory;
  readonly files: BootFiles;
  /** What vacant slots share. */
  readonly empty: string;
  /** Where the memory and the state are kept. */
  readonly directory: string;
  readonly user: QemuUser | undefined;
  readonly emulator: Emulator | undefined;
}

class Baker {
  readonly #config: SandboxConfig;
  readonly #prepared: PreparedMachine;
  /** What serves the root over virtiofs, if that is of the machine. */
  readonly #root: Share | undefined;
  readonly #shape: SnapshotShape;
  readonly #profile: string;
  readonly #options: LaunchOptions;

  constructor(
    config: SandboxConfig,
    prepared: PreparedMachine,
    shape: SnapshotShape,
    profile: string,
    options: LaunchOptions,
  ) {
    this.#config = config;
    this.#prepared = prepared;
    this.#root = shape.root && rootShareOf(prepared);
    this.#shape = shape;
    this.#profile = profile;
    this.#options = options;
  }

  /** Writes the machine's memory and state into `directory`. */
  async save(directory: string): Promise<SnapshotFacts> {
    const empty = makeEmpty(directory);
    this.#options.onProgress?.('Booting the machine that is to be saved');
    let dropping: Promise<void> | undefined;
    // The machine boots meanwhile.
    const needs = hostNeeds();
    needs.catch(() => {});
    const ready = await this.#run(empty, directory, async (transports, channel) => {
      const saved = await this.#bootAndSave(transports, await channel, directory);
      // The machine is paused. Ending it takes libvirt as long as this.
      dropping = dropZeros(join(directory, SNAPSHOT_MEMORY));
      return saved;
    });
    await dropping;
    return factsOfSaved(this.#prepared, { shape: this.#shape, profile: this.#profile, ready, needs: await needs });
  }

  async #bootAndSave(transports: Transports, transport: Duplex, directory: string): Promise<GuestReady> {
    if (transports.monitor === undefined) throw new Error('a machine that is to be saved has a monitor');
    const { channel, ready } = await Channel.open(transport);
    // Do now what is the same for every sandbox. A common init in the guest does it itself, when it gets its config.
    if (this.#prepared.image.manifest.commonInit !== 'guest') await channel.call({ op: 'linkUp', link: 'lo' });
    await detachSlots(channel, allSlots(this.#shape.slots));
    if (this.#prepared.image.manifest.commonInit !== 'guest') await clearMemory(channel);
    this.#options.onProgress?.('Saving the machine');
    await saveState(new Monitor(await transports.monitor), directory);
    return ready;
  }

  /** Starts the machine, and ends it when `use` is done. @param directory where its memory is kept */
  async #run<T>(
    empty: string,
    directory: string,
    use: (transports: Transports, channel: Promise<Duplex>) => Promise<T>,
  ): Promise<T> {
    const { name, connection, acceleration } = this.#prepared;
    const { signal, onConsole } = this.#options;
    const run = new DomainRun({ connection, name, timeout: this.#config.bootTimeout, signal, onConsole });
    const shares = new ShareWatch(watchedShares({ shares: this.#root ? [this.#root] : [], mounts: [] }));
    let failed = true;
    try {
      const state = run.claim();
      const user = qemuUser(state.path, connection.kind, { acceleration, isShared: false });
      await makeSavedFiles(directory, this.#shape.memory, user);
      makeRootServer(this.#root, state.path);
      const transports = await run.open({ monitored: true, owner: user?.uid });
      const given = isKernelGivenAway(connection.kind, user);
      const files = given ? await copyBootFiles(this.#prepared.image, state) : this.#prepared.image;
      const wall = { stateDirectory: state.path, rules: () => this.#rules(files, directory) };
      const emulator = confineQemu({ ...this.#prepared, disks: [] }, wall, this.#options);
      const xml = this.#xml({ name, state, files, empty, directory, user, emulator });
      const before = this.#commandBefore(state, user);
      run.start(xml, before === undefined ? {} : { before });
      shares.begin(await run.within(run.domain, 'asking libvirt to start the domain'));
      const work = Promise.race([use(transports, transports.channel(run.domain)), shares.failed]);
      const result = await run.within(work, 'the machine running, its init not answering');
      const gaps = emulator && gapsOfWall(state.path);
      if (gaps !== undefined) this.#options.onChoice?.(`security: ${gaps}`);
      failed = false;
      return result;
    } catch (error) {
      const reason = serverError(this.#root, [], error, this.#config.rootFs) ?? (await run.reasonFor(error));
      // It is sent no command.
      throw asUnserved(reason, false);
    } finally {
      shares.end();
      run.release();
      await run.end({ force: !failed });
    }
  }

  /** The command that starts what serves the root. The guest mounts nothing before it is saved. */
  #commandBefore({ sockets }: StateDirectory, user: QemuUser | undefined): string[] | undefined {
    const { name } = this.#prepared;
    return this.#root && commandBefore(this.#config, this.#prepared, { name, sockets, disks: [], client: user?.uid });
  }

  /** It writes to two files only, and serves the empty directory. */
  #rules({ kernel, initrd }: BootFiles, directory: string): Rule[] {
    return [
      ...[kernel, initrd, directory].map((path) => ['read', path] as const),
      ...[SNAPSHOT_MEMORY, SNAPSHOT_STATE].map((file) => ['write', join(directory, file)] as const),
    ];
  }

  #xml({ name, state, files: { kernel, initrd }, empty, directory, user, emulator }: BakedMachine): string {
    const [root] = withSockets(this.#root === undefined ? [] : [this.#root], state.sockets);
    const base = savedMachine(this.#shape, empty, { ...state, name, uuid: undefined }, root);
    const saving = [
      ...savedMachineArguments({ path: join(directory, SNAPSHOT_MEMORY), size: this.#shape.memory }),
      ...monitorArguments(state.channelSocket),
    ];
    const securityLabels = user ? [ownerLabel(user, false)] : [];
    const qemuArguments = [...base.qemuArguments, ...saving];
    return machineXml({ ...base, kernel, initrd, securityLabels, qemuArguments, emulator });
  }
}

export function abortedError(cause: unknown): SandboxError {
  return new SandboxError({
    stage: 'image',
    code: 'aborted',
    message: 'baking was aborted, and nothing was changed',
    remedy: 'bake it again',
    cause,
  });
}

export function containerError(uri: string): SandboxError {
  return new SandboxError({
    stage: 'config',
    code: 'warm-container',
    message: `${uri} runs containers, which cannot be saved`,
    remedy: 'name another driver with --connect',
  });
}
