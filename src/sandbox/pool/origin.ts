/**
 * What a member of a pool was made of, and whether a start would still use just that. It costs some stat(2) and one
 * small file: no program is run, and no content is read that is not in the page cache.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { includesOf } from '../../config/include-mount.js';
import type { SandboxConfig } from '../../config/types.js';
import { changedFiles, readSnapshot, type Snapshot } from '../../image/snapshot/record.js';
import { loadProfile } from '../../profile/load.js';
import { ignoreSandboxError, valueOr } from '../../util/errors.js';
import { identityOf } from '../../util/input-log.js';
import { findQemu } from '../../util/programs.js';
import { BootImages } from '../prepare/boot-images.js';
import type { PreparedMachine } from '../prepare/prepared.js';
import { driverFile } from '../snapshot/host.js';
import type { LaunchOptions } from '../types.js';

export class Origin {
  readonly #config: SandboxConfig;
  readonly #options: LaunchOptions;
  readonly #prepared: PreparedMachine;
  readonly #files: string;

  /** Make it before the machine is started: a change in between then shows. */
  constructor(config: SandboxConfig, options: LaunchOptions, prepared: PreparedMachine) {
    this.#config = config;
    this.#options = options;
    this.#prepared = prepared;
    this.#files = filesOf(config);
  }

  /** What has changed since, for people; undefined: nothing has. */
  async change(): Promise<string | undefined> {
    const { snapshot, profile, image } = this.#prepared;
    if (filesOf(this.#config) !== this.#files) return 'QEMU, libvirt, or a file of the template';
    if (snapshot !== undefined && !isThere(snapshot)) return 'the snapshot';
    const { profile: named } = this.#options;
    const now = await ignoreSandboxError(loadProfile(named ?? this.#config.profile));
    if (now === undefined || !isDeepStrictEqual(now, profile)) return 'the profile';
    return (await this.#imageNow()) === image.id ? undefined : 'the boot image';
  }

  /** Id of the image that would be booted; undefined if it would have to be built, or cannot be had. */
  async #imageNow(): Promise<string | undefined> {
    const { profile, image } = this.#prepared;
    const { sets } = image.manifest;
    const images = new BootImages(this.#config, profile, this.#options, false);
    if (images.named === undefined) return images.known(sets)?.id;
    return (await ignoreSandboxError(images.find(sets)))?.id;
  }
}

/** Whether the machine would be restored from it, as far as its files say. */
function isThere(snapshot: Snapshot): boolean {
  return readSnapshot(snapshot.directory) !== undefined && changedFiles(snapshot).length === 0;
}

/**
 * Files of the root that the rehearsal of a member reads, where there are such. A guest keeps what it has read of its root,
 * whatever becomes of it on the host, so a member that knows another C library than it finds now is of no use.
 */
const REHEARSED = [
  ...['usr/bin/true', 'bin/true', 'bin/busybox', 'etc/ld.so.cache', 'etc/ld.so.preload'],
  ...['lib64/ld-linux-x86-64.so.2', 'lib/ld-musl-x86_64.so.1'],
  ...['lib/x86_64-linux-gnu/libc.so.6', 'lib64/libc.so.6', 'usr/lib/libc.so.6'],
];

/** The programs, the directories that are shared, what was read of the root, and what is copied inside. */
function filesOf({ root, mounts }: SandboxConfig): string {
  const directories = root.type === 'directory' ? [root.path] : [];
  const images = root.type === 'image' ? [root.stored?.path] : [];
  const shared = mounts.flatMap((mount) => (mount.type === 'host-bind' ? [mount.source] : []));
  const read = directories.flatMap((directory) => REHEARSED.map((path) => join(directory, path)));
  const files = [
    findQemu(),
    driverFile(),
    ...read,
    ...images,
    ...includesOf(mounts).map(({ include }) => include.source),
  ];
  return JSON.stringify([[...directories, ...shared].map(inodeOf), files.map((path) => path && identityOf(path))]);
}

/** A directory that is shared may change. Another one in its place is not what is served. */
function inodeOf(path: string | undefined): string {
  if (path === undefined) return '';
  const found = valueOr(() => statSync(path, { bigint: true, throwIfNoEntry: false }), undefined);
  return found === undefined ? 'absent' : `${found.dev}:${found.ino}`;
}
