/** The clone that is described by its source and the options: a service of its own, with other identities. */
import { randomUUID } from 'node:crypto';
import { basename, dirname, extname, join, relative } from 'node:path';
import { parseNetworks } from '../../config/parsers/network.js';
import { parsePublish } from '../../config/parsers/publish.js';
import { parseSecurity } from '../../config/parsers/security.js';
import { covers, hostPath, normalizePath } from '../../config/path.js';
import type { Include, Mount, Network, SandboxConfig, Security } from '../../config/types.js';
import { validateConfig } from '../../config/validate.js';
import { macOf } from '../../domain/mac.js';
import type { Confinement } from '../confinement.js';
import type { Described } from '../file.js';
import { clonedSecurity, fileContext, serviceSecurity } from '../label.js';
import type { KeptState, Service } from '../types.js';
import { stateUnknown, staticAddress } from './errors.js';

/** What is asked for, as options have it. */
export interface CloneTexts {
  /** The directory in which the state is to be; undefined: beside the source's. */
  readonly path?: string | undefined;
  readonly security?: string | undefined;
  /** What confines it in place of the source's label. */
  readonly confinement?: Confinement | undefined;
  /** Those that services have. */
  readonly labels?: ReadonlySet<string> | undefined;
  /** They replace the source's. Without them the clone has other ports of this host. */
  readonly publish?: readonly string[] | undefined;
  /** They replace the source's. */
  readonly network?: readonly string[] | undefined;
  /** The source is elsewhere: static addresses are kept, and an image has the usual ending. */
  readonly isElsewhere?: boolean | undefined;
}

/** A clone that is to be made. */
export interface WantedClone extends Described {
  readonly name: string;
  readonly uuid: string;
  readonly state: KeptState;
  /** Its ports are chosen when it is made. */
  readonly choosesPorts: boolean;
  /** What the two share, as sentences. */
  readonly notes: readonly string[];
}

/**
 * @throws {SandboxError} what the parsers of options and `validateConfig` throw; `service-state-unknown`,
 *   `service-address-taken`, and what `fileContext` throws
 */
export function describeClone(source: Service, name: string, texts: CloneTexts): WantedClone {
  const { config } = source;
  const { confinement } = texts;
  const settings = confinement === undefined ? source.settings : { ...source.settings, filetype: confinement.filetype };
  const from = stateOf(source);
  const state = { ...from, path: statePath(from, name, texts) };
  const move = mover(from.path, state.path);
  const uuid = randomUUID();
  const own: SandboxConfig = {
    ...config,
    name,
    uuid,
    overlay: state,
    networks: networksOf(source, name, texts),
    publish: texts.publish === undefined ? config.publish : texts.publish.map(parsePublish),
    security: securityOf(config, uuid, texts),
    mounts: config.mounts.map((mount) => moveMount(mount, move)),
    disks: config.disks.map((disk) => ({ ...disk, source: move(disk.source) })),
    home: config.home?.type === 'directory' ? { ...config.home, path: move(config.home.path) } : config.home,
  };
  fileContext(own.security, settings.filetype);
  return {
    name,
    uuid,
    config: validateConfig(own),
    settings,
    state,
    choosesPorts: texts.publish === undefined,
    notes: sharedNotes(source, own),
  };
}

function securityOf(
  { security: source }: SandboxConfig,
  uuid: string,
  { security, confinement, labels }: CloneTexts,
): Security {
  if (security !== undefined) return serviceSecurity(parseSecurity(security), uuid, labels);
  if (confinement !== undefined) return serviceSecurity(confinement.security, uuid, labels);
  return clonedSecurity(source, uuid, labels);
}

/** @throws {SandboxError} `service-state-unknown` */
export function stateOf({ name, config: { overlay } }: Service): KeptState {
  if (overlay === undefined || overlay.type === 'memory') throw stateUnknown(name);
  return overlay;
}

function statePath(from: KeptState, name: string, { path, isElsewhere }: CloneTexts): string {
  const above = path === undefined ? dirname(normalizePath(from.path)) : hostPath(path, '--path');
  if (from.type !== 'image') return join(above, name);
  // Anybody may have chosen the path of an archive's.
  const ending = isElsewhere === true ? '' : extname(basename(from.path));
  return join(above, `${name}${ending || '.qcow2'}`);
}

/** Paths of the source's state become those of the clone's. A word that merely contains its name is no such path. */
function mover(from: string, to: string): (path: string) => string {
  return (path) => (covers(from, path) ? join(to, relative(normalizePath(from), normalizePath(path))) : path);
}

function moveMount(mount: Mount, move: (path: string) => string): Mount {
  const includes: readonly Include[] = mount.includes.map((one) => ({ ...one, source: move(one.source) }));
  if (mount.type === 'host-image') return { ...mount, includes, source: move(mount.source) };
  if (mount.type !== 'host-bind') return { ...mount, includes };
  return { ...mount, includes, source: mount.source === undefined ? undefined : move(mount.source) };
}

/** User networking is the sandbox's alone, so an address there may be that of others. */
function networksOf(
  { name: source, config }: Service,
  name: string,
  { network: texts, isElsewhere }: CloneTexts,
): readonly Network[] {
  if (texts !== undefined) {
    const networks = parseNetworks(texts);
    return networks === 'none' ? [] : networks;
  }
  return config.networks.map((network, index) => {
    const [address] = network.source === undefined ? [] : network.addresses;
    if (address !== undefined && isElsewhere !== true) throw staticAddress(source, address.primary);
    return network.mac === undefined ? network : { ...network, mac: macOf(name, index) };
  });
}

function sharedNotes(source: Service, { name, mounts, disks, security }: SandboxConfig): string[] {
  const both = `${source.name} and ${name}`;
  const { mode, label: own } = security;
  const label = mode === 'static' && own === source.config.security.label ? own : undefined;
  return [
    ...mounts.flatMap((mount) =>
      mount.type === 'host-bind' && !mount.readOnly && mount.source !== undefined
        ? [`${both} both write to ${mount.source}, which is no part of the state`]
        : [],
    ),
    ...[...mounts.filter((mount) => mount.type === 'host-image'), ...disks].flatMap((image) =>
      image.readOnly ? [] : [`${both} both have the image ${image.source}, so only one of them can run at a time`],
    ),
    ...(label === undefined ? [] : [`${both} both have the label ${label}: --security gives another one`]),
  ];
}
