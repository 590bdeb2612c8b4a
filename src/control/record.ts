/** What is on record about a running sandbox: `sandbox.json` in its state directory. */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import type { GuestConfig } from '../../init/common/config.js';
import { LISTEN_ADDRESSES } from '../config/graphics-types.js';
import { MOST_PORT } from '../config/parsers/publish.js';
import type { ScreenSize } from '../config/types.js';
import type { ConnectionKind } from '../libvirt/connection.js';
import type { RecordedOverlay } from '../sandbox/overlay/recorded.js';
import type { Listening } from '../sandbox/screen/types.js';
import { isSystemError } from '../util/errors.js';
import { readPlainFile } from '../util/small-files.js';

export const RECORD_FILE = 'sandbox.json';

/** More than a command line and an environment that Linux takes, as JSON. */
const MOST_BYTES = 16 << 20;

export interface RecordedMount {
  readonly type: string;
  readonly target: string;
  /** Undefined: it has none. */
  readonly source?: string | undefined;
}

export interface RecordedScreen extends ScreenSize {
  /** Where viewers of VNC see it; undefined: it lets in none. */
  readonly vncSocket?: string | undefined;
  /** The same of SPICE. */
  readonly spiceSocket?: string | undefined;
  /** Where they come over TCP, and the password; undefined: they do not. */
  readonly listening?: Listening | undefined;
}

/**
 * Texts may have control characters, and those of another user any content. Never act on `pid` of another user's
 * record: the user chooses it.
 */
export interface SandboxRecord {
  readonly version: 1;
  readonly name: string;
  readonly uuid: string;
  /** The process that holds the sandbox. */
  readonly pid: number;
  /** When it ran: ISO 8601, UTC. */
  readonly created: string;
  readonly platform: 'machine' | 'container';
  readonly connection: ConnectionKind;
  /** Undefined: a container. */
  readonly acceleration?: 'kvm' | 'tcg' | undefined;
  /** Undefined: a container. */
  readonly boot?: 'warm' | 'cold' | undefined;
  /** ID of the boot image; undefined: a container. */
  readonly image?: string | undefined;
  /** Release of the kernel; undefined: that of the host. */
  readonly kernel?: string | undefined;
  /** In bytes. */
  readonly memory: number;
  readonly vcpus: number;
  /** Empty: it lives until it is stopped. */
  readonly command: readonly string[];
  readonly detached: boolean;
  /** The host directory that is the root inside, or the file that an image's file system is in. */
  readonly root: string;
  /** What that image is called; undefined: the root is a directory. */
  readonly rootImage?: string | undefined;
  /** Undefined: it has none. */
  readonly screen?: RecordedScreen | undefined;
  readonly mounts: readonly RecordedMount[];
  /**
   * What is laid over the root, inside; null: nothing, or what a directory of the host keeps. Undefined: the holder is
   * of a version that does not say so.
   */
  readonly overlay?: RecordedOverlay | null | undefined;
  /** How processes are started in it. What only its start needed is left out. */
  readonly guest: GuestConfig;
}

/** A record that is not there, or not one. */
export class RecordError extends Error {
  override readonly name = 'RecordError';
}

const text = v.string();
const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const id = v.pipe(whole, v.maxValue(0xffff_fffe));
const list = <S extends v.GenericSchema>(item: S) => v.array(item);

const guestSchema = v.object({
  platform: v.picklist(['machine', 'container']),
  hostname: text,
  identity: v.object({ uid: id, gid: id, groups: list(id), username: text, home: text }),
  privileged: v.boolean(),
  userNamespaces: v.optional(v.boolean()),
  ociRoot: v.optional(v.boolean()),
  service: v.optional(v.boolean()),
  systemd: v.optional(
    v.object({ bootTarget: text, units: list(text), machineId: text, bootId: text, keepsJournal: v.boolean() }),
  ),
  environment: list(v.object({ key: text, value: text })),
  cwd: v.optional(text),
});

const ranges = list(v.object({ inside: id, outside: id, count: id }));

const overlaySchema = v.object({
  hasOwners: v.boolean(),
  hasRedirects: v.boolean(),
  hidden: list(text),
  reader: v.optional(v.object({ uid: v.optional(id), gids: list(id) })),
  ids: v.optional(v.object({ uids: ranges, gids: ranges })),
});

const listening = v.object({
  address: v.picklist(LISTEN_ADDRESSES),
  port: v.pipe(whole, v.maxValue(MOST_PORT)),
  password: text,
});

const schema = v.object({
  version: v.literal(1),
  name: v.pipe(text, v.minLength(1), v.maxLength(255)),
  uuid: v.pipe(text, v.uuid()),
  pid: v.pipe(whole, v.minValue(1), v.maxValue(1 << 22)),
  created: v.pipe(text, v.isoTimestamp()),
  platform: v.picklist(['machine', 'container']),
  connection: v.picklist(['system', 'session', 'embedded', 'lxc']),
  acceleration: v.optional(v.picklist(['kvm', 'tcg'])),
  boot: v.optional(v.picklist(['warm', 'cold'])),
  image: v.optional(text),
  kernel: v.optional(text),
  memory: whole,
  vcpus: whole,
  command: list(text),
  detached: v.boolean(),
  // Another user's may be anything, and it is looked into.
  root: v.pipe(text, v.startsWith('/'), v.excludes('\0')),
  rootImage: v.optional(text),
  screen: v.optional(
    v.object({
      width: whole,
      height: whole,
      vncSocket: v.optional(text),
      spiceSocket: v.optional(text),
      listening: v.optional(listening),
    }),
  ),
  mounts: list(v.object({ type: text, target: text, source: v.optional(text) })),
  overlay: v.nullish(overlaySchema),
  guest: guestSchema,
});

/** What of a guest's config is put on record. */
export function recordedGuest(config: GuestConfig): GuestConfig {
  const { platform, hostname, identity, privileged, userNamespaces, environment, cwd } = config;
  const { ociRoot, service, systemd } = config;
  const kinds = { ociRoot, service, systemd };
  return completed({ platform, hostname, identity, privileged, userNamespaces, ...kinds, environment, cwd });
}

type KnownOfGuest = Pick<GuestConfig, 'platform' | 'hostname' | 'identity' | 'privileged' | 'environment' | 'cwd'> & {
  readonly userNamespaces?: boolean | undefined;
  readonly ociRoot?: boolean | undefined;
  readonly service?: boolean | undefined;
  readonly systemd?: GuestConfig['systemd'];
};

function completed(known: KnownOfGuest): GuestConfig {
  const { userNamespaces = false, ...rest } = known;
  return {
    ...rest,
    userNamespaces,
    root: { type: 'ram', bytes: 0 },
    mounts: [],
    disks: [],
    devices: undefined,
    network: undefined,
    command: [],
    terminal: undefined,
  };
}

/**
 * Puts a sandbox on record, whole or not at all. Only its user can read it: it has the values of variables.
 * @throws a system error
 */
export function writeRecord(stateDirectory: string, record: SandboxRecord): void {
  const path = join(stateDirectory, RECORD_FILE);
  writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600, flag: 'wx' });
  renameSync(`${path}.new`, path);
}

/**
 * Reads a record. That of another user may be anything.
 * @param directory path of the state directory; of another user's one that only leads there: `/proc/self/fd/N`
 * @param name of the sandbox, which the record must have
 * @param uid of the user whose it must be; default: anyone's
 * @throws {RecordError} if there is none, or what is there is none
 */
export function readRecord(directory: string, name: string, uid?: number): SandboxRecord {
  let value: unknown;
  try {
    value = JSON.parse(readPlainFile(join(directory, RECORD_FILE), { most: MOST_BYTES, uid }));
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) throw new RecordError('it is not on record');
    if (isSystemError(error) || error instanceof SyntaxError)
      throw new RecordError(`its record is not readable: ${error.message}`);
    throw error;
  }
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (!result.success) throw new RecordError(`its record is wrong at ${v.getDotPath(result.issues[0]) ?? 'its top'}`);
  if (result.output.name !== name) throw new RecordError('its record is of another sandbox');
  const { guest, ...rest } = result.output;
  return { ...rest, guest: completed({ ...guest, cwd: guest.cwd }) };
}
