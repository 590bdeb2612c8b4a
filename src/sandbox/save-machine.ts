/** Saves a machine's memory and state as a snapshot. */
import { chownSync, writeFileSync } from 'node:fs';
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import type { SnapshotFacts } from '../image/snapshot/publish.js';
import { type HostNeed, type PreparedFacts, SNAPSHOT_MEMORY, SNAPSHOT_STATE } from '../image/snapshot/record.js';
import type { Monitor } from '../libvirt/monitor.js';
import type { GuestReady } from '../protocol/ready.js';
import { messageOf, SandboxError } from '../util/errors.js';
import type { PreparedMachine } from './prepare/prepared.js';
import { snapshotHost } from './snapshot/host.js';
import { machineSignature, type SnapshotShape, savedCommandLine } from './snapshot/machine.js';
import { readyRecord } from './snapshot/ready.js';
import { migrationEnd, setCapabilities } from './snapshot/restore.js';
import type { QemuUser } from './state/qemu-user.js';

/**
 * Makes the files that QEMU writes to. They are the group's to read when the machine is saved: publish.ts.
 * @param memory of the machine, in bytes
 */
export async function makeSavedFiles(directory: string, memory: number, user: QemuUser | undefined): Promise<void> {
  for (const name of [SNAPSHOT_MEMORY, SNAPSHOT_STATE]) {
    const path = join(directory, name);
    writeFileSync(path, '', { mode: 0o600, flag: 'wx' });
    if (user) chownSync(path, user.uid, user.gid);
  }
  await truncate(join(directory, SNAPSHOT_MEMORY), memory);
}

/**
 * Saves the state. The machine is paused then, and its memory is in its file.
 * @throws {SandboxError} `warm-save-failed`
 */
export async function saveState(monitor: Monitor, directory: string): Promise<void> {
  try {
    const ended = migrationEnd(monitor);
    ended.catch(() => {});
    await setCapabilities(monitor);
    await monitor.execute('migrate', { uri: `file:${join(directory, SNAPSHOT_STATE)}` });
    await ended;
  } catch (error) {
    throw new SandboxError({
      stage: 'image',
      code: 'warm-save-failed',
      message: `QEMU cannot save the machine: ${messageOf(error)}`,
      remedy: 'see that its version is 8.2 or later, and that the store has room',
      cause: error,
    });
  }
}

/** What is known of a machine that was saved. */
export interface SavedMachine {
  readonly shape: SnapshotShape;
  /** As a start would name it. */
  readonly profile: string;
  readonly ready: GuestReady;
  readonly needs: Readonly<Record<string, HostNeed>>;
  /** Undefined: nothing has run in it. */
  readonly prepared?: PreparedFacts | undefined;
}

export async function factsOfSaved(
  { image, connection }: PreparedMachine,
  { shape, profile, ready, needs, prepared }: SavedMachine,
): Promise<SnapshotFacts> {
  const { memory, vcpus, acceleration, slots, root, screen } = shape;
  return {
    image: image.id,
    sets: image.manifest.sets,
    memory,
    vcpus,
    acceleration,
    slots,
    root,
    screen,
    prepared,
    machine: machineSignature(shape),
    kernelArguments: savedCommandLine(shape),
    profile,
    host: await snapshotHost(connection),
    needs,
    owner: process.geteuid?.() ?? 0,
    ready: readyRecord(ready),
  };
}
