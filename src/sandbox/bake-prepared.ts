/** Bakes snapshots of machines with their root and programs: boots one, sets it up, prepares it, and saves it. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Slots } from '../config/parsers/slots.js';
import type { SandboxConfig } from '../config/types.js';
import { publishSnapshot, type SnapshotFacts } from '../image/snapshot/publish.js';
import { SNAPSHOT_MEMORY, type Snapshot } from '../image/snapshot/record.js';
import { profileCalled } from '../profile/load.js';
import type { GuestReady } from '../protocol/ready.js';
import { SandboxError } from '../util/errors.js';
import { abortedError, containerError, directoryFor, makeEmpty } from './bake.js';
import { slotDevices } from './devices/slots.js';
import { withImageRoot } from './image-root/with-image-root.js';
import { type Preparation, runPreparation } from './preparation.js';
import { prepare } from './prepare/prepare.js';
import type { PreparedMachine } from './prepare/prepared.js';
import { Sandbox } from './sandbox.js';
import { factsOfSaved, makeSavedFiles, saveState } from './save-machine.js';
import { guestConfig } from './setup/guest-config.js';
import { hostNeeds } from './snapshot/host-needs.js';
import { clearFree, dropZeros } from './snapshot/lean-memory.js';
import { type SnapshotShape, savedCommandLine } from './snapshot/machine.js';
import { rootKey } from './snapshot/prepared.js';
import type { LaunchOptions } from './types.js';

/**
 * Bakes a snapshot of a machine whose root is the image of `config`, with what `preparation` has left in it.
 * @param name of the boot image: who names it gets the programs
 * @throws {SandboxError} `prepare-root`: the root is no image; what a start, and a preparation, may throw;
 *   `warm-save-failed`, `store-not-writable`, `disk-full`, `aborted`
 */
export async function bakePrepared(
  config: SandboxConfig,
  preparation: Preparation,
  { name, slots }: { readonly name: string; readonly slots: Slots },
  options: LaunchOptions,
): Promise<Snapshot> {
  if (config.root.type !== 'image') throw rootError();
  if (config.graphics !== undefined) throw screenError();
  const called = `bake-${randomBytes(4).toString('hex')}`;
  const none = { mounts: [], disks: [], networks: [], publish: [], command: [], tty: false };
  const asked: SandboxConfig = { ...config, ...none, name: called, boot: 'cold' };
  const { config: machine, release } = await withImageRoot(asked, options, 'none');
  try {
    const prepared = await prepare(machine, options);
    if (prepared.platform === 'container') {
      await prepared.connection.close();
      throw containerError(prepared.connection.uri);
    }
    const baking = new Baking(machine, prepared, preparation, name, slots, options);
    return await publishSnapshot(
      directoryFor(machine, prepared, options),
      (directory) => baking.save(directory),
      options.signal,
    );
  } catch (error) {
    throw options.signal?.aborted ? abortedError(error) : error;
  } finally {
    release();
  }
}

function rootError(): SandboxError {
  return new SandboxError({
    stage: 'config',
    code: 'prepare-root',
    message: 'a machine with a directory of this host as its root cannot be saved: the directory may change',
    remedy: 'name an image with --root, such as docker://NAME, or leave out --prepare',
  });
}

function screenError(): SandboxError {
  return new SandboxError({
    stage: 'config',
    code: 'prepare-screen',
    message: 'a machine with a screen is not saved with programs in it',
    remedy: 'leave out --graphics, or leave out --prepare',
  });
}

class Baking {
  readonly #shape: SnapshotShape;
  #ready: GuestReady | undefined;

  constructor(
    private readonly config: SandboxConfig,
    private readonly prepared: PreparedMachine,
    private readonly preparation: Preparation,
    private readonly name: string,
    private readonly slots: Slots,
    private readonly options: LaunchOptions,
  ) {
    const { acceleration, profile, devices, image } = prepared;
    const { memory, vcpus } = config;
    const card = devices.screen;
    this.#shape = {
      memory,
      vcpus,
      acceleration,
      profile,
      slots,
      screen: card && { width: card.width, height: card.height },
      prepared: rootKey(config, guestConfig(config, { name: '', devices })),
      sets: image.manifest.sets,
    };
  }

  /** Writes the machine's memory and state into `directory`. */
  async save(directory: string): Promise<SnapshotFacts> {
    const { prepared, options, preparation } = this;
    const shape = this.#shape;
    makeEmpty(directory);
    const needs = hostNeeds();
    needs.catch(() => {});
    options.onProgress?.('Booting the machine that is to be saved');
    const record = { slots: this.slots, root: undefined, prepared: undefined };
    const saving = {
      directory,
      slots: this.slots,
      slotted: slotDevices({ directory, record }, prepared.devices),
      commandLine: savedCommandLine(shape),
      makeFiles: (user: Parameters<typeof makeSavedFiles>[2]) => makeSavedFiles(directory, shape.memory, user),
    };
    const onReady = (ready: GuestReady) => {
      this.#ready = ready;
    };
    const sandbox = await Sandbox.startPrepared(this.config, { ...prepared, saving }, { ...options, onReady }, 0);
    try {
      const { channel, guest, monitor } = sandbox.launched;
      if (monitor === undefined || this.#ready === undefined) throw new Error('a machine that was set up has both');
      options.onProgress?.('Preparing the machine');
      const working = Promise.race([
        runPreparation(sandbox, { channel, guest }, preparation, options.signal),
        sandbox.exited.then(() => undefined),
      ]);
      const process = await working;
      await clearFree(channel);
      options.onProgress?.('Saving the machine');
      await saveState(monitor, directory);
      const { command, notify } = preparation;
      const facts = { name: this.name, root: shape.prepared ?? '', command, process, notify };
      const saved = { shape, profile: profileCalled(options.profile ?? this.config.profile), prepared: facts };
      await dropZeros(join(directory, SNAPSHOT_MEMORY));
      return await factsOfSaved(prepared, { ...saved, ready: this.#ready, needs: await needs });
    } finally {
      await sandbox.discard();
    }
  }
}
