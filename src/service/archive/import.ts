/** Makes a service of an archive: with its state, and identities of its own. */
import { type FileHandle, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DEFAULT_SECURITY } from '../../config/defaults.js';
import { quote } from '../../config/errors.js';
import { checkHost } from '../../config/host-check.js';
import type { SandboxConfig } from '../../config/types.js';
import { URI } from '../../libvirt/connection.js';
import { overlayKindOf, type Platform } from '../../sandbox/devices/overlay.js';
import { attributesOf, takesAttributes } from '../../sandbox/devices/overlay-attributes.js';
import { keptOverlay, rootOnRecord } from '../../sandbox/devices/overlay-directory.js';
import { type OverlayKind, writeRecord } from '../../sandbox/devices/overlay-record.js';
import { containedConfig } from '../../sandbox/prepare/contained.js';
import { checkWanted, connectionOf } from '../clone/check.js';
import { describeClone, type WantedClone } from '../clone/describe.js';
import { DirectoryFiles } from '../clone/directory-files.js';
import { giveIdentity, type StateFiles } from '../clone/identity.js';
import { withImageFiles } from '../clone/image-files.js';
import { lockPorts, publishedPorts, sameOrOtherPorts } from '../clone/ports.js';
import { type AskHost, type Confinement, confinementHere } from '../confinement.js';
import { checkConnection, checkSameUri } from '../connection.js';
import { makeLayers } from '../content/fill.js';
import { recordHost } from '../content/host-now.js';
import { abortedError, orAborted } from '../errors.js';
import { type Described, parseService, saveService } from '../file.js';
import { fileContext, labelsOf } from '../label.js';
import { checkServiceName } from '../names.js';
import { type ServiceRoots, servicePaths } from '../paths.js';
import type { Release } from '../store/held-lock.js';
import { labelTree } from '../store/label-state.js';
import { type LockOptions, withServiceLock } from '../store/lock.js';
import type { MadeRecord } from '../store/made.js';
import { makeService, refuseExisting } from '../store/staging.js';
import type { Service, ServiceSettings } from '../types.js';
import { checkImage } from './check-image.js';
import { StateCheck } from './check-member.js';
import { notAnArchive, notUnpacked, ofRootAlone, oneMore, reachesBeyond } from './errors.js';
import { CONFIG, MANIFEST, type Manifest, MOST_TEXT_BYTES, parseManifest } from './manifest.js';
import { measure } from './measure.js';
import { type Member, Members } from './members.js';
import { reachOf } from './reach.js';
import { RoomCheck } from './room-check.js';
import { expectEnd, unpackLayers } from './unpack.js';
import { imageCheck, unpackImage } from './unpack-image.js';

export interface ImportOptions extends LockOptions {
  /** Its name, for errors. */
  readonly archive: string;
  readonly stream: AsyncIterable<Uint8Array>;
  /** The same, if it is a file: it is looked at as a whole before anything is unpacked. */
  readonly file?: FileHandle | undefined;
  /** Over which URI it is to run, if the archive names none. */
  readonly connect?: string | undefined;
  /** The directory in which the state is to be; undefined: as of a new service. */
  readonly path?: string | undefined;
  /** It may have what reaches beyond its own state. */
  readonly isTrusted: boolean;
  /** It may take all of the room that there is. */
  readonly mayFill?: boolean | undefined;
  readonly onProgress?: ((bytes: number) => void) | undefined;
  /** Asks another host about labels. */
  readonly askHost?: AskHost | undefined;
}

export interface Imported {
  readonly service: Service;
  /** As the archive has it. */
  readonly source: Service;
  /** Files inside that are its own, as paths. */
  readonly changed: readonly string[];
}

interface Archive {
  readonly manifest: Manifest;
  readonly members: Members;
  readonly source: Service;
}

/**
 * If anything fails, nothing of the service is left.
 * @throws {SandboxError} `service-exists`, `service-archive-invalid`, `service-archive-refused`,
 *   `service-archive-reaches`, `service-archive-not-unpacked`, `service-archive-too-large`, `service-of-other-uri`,
 *   `service-not-writable`, and what `describeClone`, `checkHost`, `checkOverlay` and the start of a machine throw
 */
export async function importService(roots: ServiceRoots, name: string, options: ImportOptions): Promise<Imported> {
  checkServiceName(name);
  const members = new Members(options.stream, options.archive);
  try {
    return await withServiceLock(
      roots,
      name,
      'exclusive',
      async () => {
        refuseExisting(roots, name);
        const archive = await readHead(roots, members, options);
        const wanted = await describeImport(roots, name, archive, options);
        return await make(roots, { ...options, ...archive, wanted });
      },
      options,
    );
  } catch (error) {
    throw orAborted(error, name, options.signal);
  } finally {
    await members.close().catch(() => {});
  }
}

/** What the archive has in front of the state. @throws {SandboxError} as {@link importService} */
async function readHead(
  roots: ServiceRoots,
  members: Members,
  { archive, isTrusted, connect }: ImportOptions,
): Promise<Archive> {
  const manifest = parseManifest(await members.text(MANIFEST, MOST_TEXT_BYTES), archive);
  const text = await members.text(CONFIG, MOST_TEXT_BYTES);
  const parsed = await parseService(text, `${archive}: ${CONFIG}`);
  if (connect !== undefined) checkSameUri(`what ${quote(archive)} has`, parsed.settings.connect, connect);
  const described = hereOf(roots, parsed, connect);
  if (roots.scope === 'user' && manifest.state.type === 'directory') throw ofRootAlone(archive);
  const { name } = manifest;
  const reaches = isTrusted ? [] : reachOf(withoutLabel(described), roots.scope);
  if (reaches.length > 0) throw reachesBeyond(archive, reaches);
  checkState(manifest, described, archive);
  const paths = servicePaths(roots, name);
  return { manifest, members, source: { name, paths, ...described, config: { ...described.config, name } } };
}

/**
 * Over which URI it is to run here. Where the archive names none, `given` counts, else this host's setting; without one
 * root's service has the embedded driver, and not what answers at a start.
 */
function hereOf(roots: ServiceRoots, { config, settings }: Described, given: string | undefined): Described {
  const usual = roots.scope === 'system' ? URI.embedded : undefined;
  return { config, settings: { ...settings, connect: checkConnection(roots, settings.connect ?? given) ?? usual } };
}

/** Its host gave it a label, which is nothing that the service itself needs. */
function withoutLabel({ config, settings }: Described): Described {
  const security = config.security.mode === 'static' ? DEFAULT_SECURITY : config.security;
  return { config: { ...config, security }, settings: { ...settings, filetype: undefined } };
}

/** What confines it here in place of its label; undefined: that one is trusted. */
async function confinementOf(
  source: Described,
  { isTrusted, askHost }: ImportOptions,
): Promise<Confinement | undefined> {
  const { config, settings } = isTrusted ? source : withoutLabel(source);
  const { security } = config;
  if (security.mode !== 'dynamic' || security.label !== undefined || settings.filetype !== undefined) return undefined;
  return confinementHere(config, { filetype: undefined, connect: settings.connect }, askHost);
}

/** @throws {SandboxError} `service-archive-invalid`: its parts do not fit */
function checkState({ state }: Manifest, described: Described, archive: string): void {
  const { config } = described;
  if (config.overlay?.type !== state.type) throw notAnArchive(archive, `has no state as its ${CONFIG} describes`);
  if (state.type !== 'directory' || state.overlay === undefined) return;
  if (state.overlay.kind !== kindOfState(described))
    throw notAnArchive(archive, `has the state of a ${state.overlay.kind}, and its ${CONFIG} describes another`);
  if ((config.root.type === 'image') !== state.overlay.root.startsWith('image:'))
    throw notAnArchive(archive, `has the state of another root than its ${CONFIG} describes`);
}

function kindOfState({ config, settings }: Described): OverlayKind {
  const platform = platformOf(settings);
  return overlayKindOf(containedConfig(config, platform), platform);
}

function platformOf(settings: ServiceSettings): Platform {
  return connectionOf(settings) === 'lxc' ? 'container' : 'machine';
}

async function describeImport(
  roots: ServiceRoots,
  name: string,
  { source, manifest }: Archive,
  options: ImportOptions,
): Promise<WantedClone> {
  const usual = manifest.state.type === 'image' ? roots.images : roots.directories;
  const labels = await labelsOf(roots);
  const confinement = await confinementOf(source, options);
  const path = options.path ?? usual;
  const wanted = describeClone(source, name, { path, labels, confinement, isElsewhere: true });
  await checkHost(wanted.config);
  return wanted;
}

interface Making extends ImportOptions, Archive {
  readonly wanted: WantedClone;
}

async function make(roots: ServiceRoots, making: Making): Promise<Imported> {
  const { wanted, source, signal } = making;
  const { name, settings } = wanted;
  let unlockPorts: Release | undefined;
  let changed: readonly string[] = [];
  let config: SandboxConfig = wanted.config;
  try {
    const paths = await makeService(roots, name, async (staged) => {
      // What a killed process has left at the place of the state is gone by now.
      checkWanted(roots, wanted);
      await measureFile(making);
      changed = await fill(making, staged.made);
      // What this host has now counts as what the service knows of it.
      await recordHost(roots, { paths: staged.paths, config, settings });
      unlockPorts = await lockPorts(roots, signal);
      config = { ...config, publish: await sameOrOtherPorts(config.publish, await publishedPorts(roots)) };
      await saveService({ paths: staged.paths, config, settings });
      if (signal?.aborted) throw abortedError(name);
    });
    return { source, changed, service: { name, paths, config, settings } };
  } finally {
    await unlockPorts?.();
  }
}

/** What the archive has that is a file is known beforehand; of a pipe it is known when it comes. */
async function measureFile(making: Making): Promise<void> {
  const { file, wanted, archive, signal } = making;
  if (file === undefined) return;
  const room = await roomFor(making);
  await measure(file, { archive, name: wanted.name, check: memberCheck(making), room, signal });
}

async function roomFor({ archive, wanted, mayFill = false }: Making): Promise<RoomCheck | undefined> {
  return mayFill ? undefined : RoomCheck.of({ archive, directory: dirname(wanted.state.path) });
}

function memberCheck({ archive, manifest: { state } }: Making): (member: Member) => void {
  if (state.type === 'image') return imageCheck(archive);
  if (state.overlay === undefined) {
    return (member) => {
      throw oneMore(archive, member);
    };
  }
  const check = new StateCheck(archive, state.overlay.kind);
  return (member) => check.check(member);
}

/** @returns the files that are its own */
async function fill(making: Making, made: MadeRecord): Promise<readonly string[]> {
  const { wanted, manifest, signal } = making;
  const { path } = wanted.state;
  if (manifest.state.type === 'directory') {
    await made.directory(path);
    await unpackDirectory(path, making);
    const kept = keptOverlay(path);
    const changed = kept === undefined ? [] : await give(new DirectoryFiles(kept), making);
    await label(path, making);
    return changed;
  }
  let changed: readonly string[] = [];
  await made.file(path, async (temporary) => {
    await unpackImage(making.members, temporary, { ...making, name: wanted.name, room: await roomFor(making) });
    await checkImage(temporary, { archive: making.archive, name: wanted.name, signal });
    const { connect } = wanted.settings;
    changed = await withImageFiles(wanted.config, temporary, { connect, signal }, (files) => give(files, making));
  });
  return changed;
}

async function unpackDirectory(path: string, making: Making): Promise<void> {
  const { members, manifest, wanted, archive } = making;
  const overlay = manifest.state.type === 'directory' ? manifest.state.overlay : undefined;
  if (overlay === undefined) {
    await expectEnd(members, archive);
    return;
  }
  const { kind } = overlay;
  if (!takesAttributes(path, kind))
    throw notUnpacked(archive, path, `its file system has no extended attributes (${attributesOf(kind)}.*)`);
  const options = { ...making, name: wanted.name, room: await roomFor(making) };
  await unpackLayers(members, path, memberCheck(making), options);
  if (kind === 'machine') await mkdir(join(path, 'layers/work'), { mode: 0o700 });
  // What an image has does not depend on its host; a directory is that of this host.
  const root = wanted.config.root.type === 'image' ? overlay.root : rootOnRecord(wanted.config.root);
  writeRecord(path, { root, kind });
}

async function label(path: string, { wanted: { name, config, settings }, signal }: Making): Promise<void> {
  const context = fileContext(config.security, settings.filetype);
  if (context === undefined) return;
  const platform = platformOf(settings);
  // What a start made later would have another label.
  if (keptOverlay(path) === undefined) makeLayers(path, containedConfig(config, platform), platform);
  await labelTree(path, context, () => {
    if (signal?.aborted) throw abortedError(name);
  });
}

function give(files: StateFiles, { source, wanted: { name, uuid } }: Making): Promise<string[]> {
  return giveIdentity(files, { sourceName: source.name, name, uuid, hostKey: undefined });
}
