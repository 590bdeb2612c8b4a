/** The service that the options of `create` describe. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { configError, quote } from '../../config/errors.js';
import { HOST_USERS } from '../../config/identity.js';
import { type ConfigOptions, configFromOptions } from '../../config/options.js';
import { parseSize } from '../../config/parsers/size.js';
import { hostPath } from '../../config/path.js';
import { DEFAULT_BOOT_TARGET, systemdCommand } from '../../config/sandbox-cfg/format.js';
import type { Overlay, Root, SandboxConfig } from '../../config/types.js';
import { validateConfig } from '../../config/validate.js';
import type { LaunchOptions } from '../../sandbox/types.js';
import { confinementHere } from '../confinement.js';
import { checkConnection } from '../connection.js';
import { type Content, type ContentTexts, describeContent } from '../content/describe.js';
import type { Described } from '../file.js';
import { fileContext, labelsOf, serviceSecurity } from '../label.js';
import { checkServiceName } from '../names.js';
import type { ServiceRoots } from '../paths.js';
import { refuseExisting } from '../store/staging.js';
import { DEFAULT_SETTINGS, RESTART_POLICIES, type RestartPolicy } from '../types.js';
import { filesOfDirectory, findUnit, unitName } from '../units/find.js';
import { type IdentityTexts, type RootOnly, serviceIdentity } from './identity.js';
import { bindImage } from './image.js';

/** 10^6: libvirt-sandbox counts image sizes so. */
const MEGABYTE = 1_000_000;
/** Less holds no ext4 with a journal and anything beside it. */
const LEAST_IMAGE = 150 * MEGABYTE;

/** What is asked for, as options have it. */
export interface CreateTexts extends IdentityTexts, ContentTexts {
  readonly sandbox: Omit<ConfigOptions, 'name' | 'overlay' | 'switchto' | 'command' | 'tty'>;
  readonly command: readonly string[];
  /** Units of the root: `--unitfile` */
  readonly units?: readonly string[] | undefined;
  readonly connect?: string | undefined;
  /** Where the state is kept: `--path` */
  readonly path?: string | undefined;
  /** Size of an image: `--imagesize` */
  readonly imageSize?: string | undefined;
  readonly restart?: string | undefined;
  /** The host's systemd starts it at boot. */
  readonly autostart?: boolean | undefined;
  readonly health?: string | undefined;
  /** SELinux type of its files: `--filetype` */
  readonly filetype?: string | undefined;
}

/** A service that is to be made. */
export interface Wanted extends Described {
  /** With the file system of an image, if the root is one. */
  readonly root: Root;
  /** Bytes of the image that keeps its state, or of the file system that bounds it; undefined: as an overlay's. */
  readonly imageBytes: number | undefined;
  /** What is to be copied into its state. */
  readonly content: Content;
}

/**
 * @throws {SandboxError} what the parsers of options and `validateConfig` throw; `service-name-invalid`,
 *   `service-on-system-uri`, `service-image-too-small`, `restart-unknown`, `no-command`,
 *   `service-command-and-unit`, and what `serviceIdentity`, `findUnit`, `bindImage`, `checkFiletype` and
 *   `describeContent` throw
 */
export async function describeService(
  roots: ServiceRoots,
  name: string,
  texts: CreateTexts,
  options: LaunchOptions = {},
): Promise<Wanted> {
  checkServiceName(name);
  const connect = checkConnection(roots, texts.connect);
  const imageBytes = texts.imageSize === undefined ? undefined : parseImageSize(texts.imageSize);
  const base = await configFromOptions({ ...texts.sandbox, command: texts.command }, HOST_USERS, undefined, true);
  const identity = await serviceIdentity(texts, rootOnlyOf(texts));
  const uuid = randomUUID();
  const overlay = overlayOf(roots, name, texts, connect === 'lxc:///');
  const { security, filetype } =
    texts.sandbox.security === undefined
      ? await confinementHere({ ...base, overlay }, { filetype: texts.filetype, connect })
      : { security: base.security, filetype: texts.filetype };
  const config: SandboxConfig = {
    ...base,
    name,
    uuid,
    security: serviceSecurity(security, uuid, await labelsOf(roots)),
    identity,
    overlay,
    ...programOf(name, base, texts.units ?? []),
  };
  const checked = validateConfig(config);
  checkFiletype(checked, filetype);
  const content = await describeContent(roots, name, checked, texts);
  // It may have to be pulled.
  if (checked.root.type === 'image') refuseExisting(roots, name);
  const root = await bindImage(name, checked, options);
  return {
    config: root.type === 'image' ? { ...checked, root: { ...root, stored: undefined } } : checked,
    root,
    settings: {
      ...DEFAULT_SETTINGS,
      connect,
      restart: texts.restart === undefined ? DEFAULT_SETTINGS.restart : parseRestart(texts.restart),
      autostart: texts.autostart === true,
      health: texts.health,
      filetype,
      packages: content.packages.named,
    },
    imageBytes,
    content,
  };
}

function rootOnlyOf({ units, sandbox }: CreateTexts): RootOnly {
  if (units !== undefined && units.length > 0) return 'units';
  return sandbox.privileged === true ? 'privileged' : undefined;
}

/** What the service runs: a command, or units by the systemd of the root. */
function programOf(
  name: string,
  base: SandboxConfig,
  units: readonly string[],
): Pick<SandboxConfig, 'command' | 'service' | 'privileged'> {
  const { command, root, privileged } = base;
  if (units.length === 0) {
    if (command.length > 0 || root.type === 'image') return { command, service: { type: 'generic' }, privileged };
    throw configError(
      'no-command',
      `the service ${quote(name)} has no command and no unit`,
      `write a command behind --, or name a unit: virt-sandbox-service create -u httpd.service ${name}`,
    );
  }
  if (command.length > 0)
    throw configError(
      'service-command-and-unit',
      `the service ${quote(name)} has a command and a unit`,
      'leave out one of them',
    );
  // Those of an image are looked for when all else is right: it may have to be pulled.
  const names = units.map((unit) =>
    root.type === 'image' ? unitName(unit, name) : findUnit(filesOfDirectory(root.path), unit, name).name,
  );
  const bootTarget = DEFAULT_BOOT_TARGET;
  return {
    command: systemdCommand(bootTarget),
    service: { type: 'systemd', bootTarget, units: [...new Set(names)] },
    // In a container that is what systemd has in the user namespace: src/sandbox/prepare/contained.ts
    privileged: true,
  };
}

/** @throws {SandboxError} `service-filetype-of-image`, and what `fileContext` throws */
function checkFiletype({ overlay, security }: SandboxConfig, filetype: string | undefined): void {
  fileContext(security, filetype);
  if (filetype === undefined || overlay?.type !== 'image') return;
  throw configError(
    'service-filetype-of-image',
    `files in the image ${quote(overlay.path)} cannot have the type ${quote(filetype)}: this host sees the image alone`,
    'leave out --filetype: libvirt labels the image',
  );
}

/**
 * A user's sandbox cannot make files of other users on the host: an image can. What a container keeps the host mounts, so
 * it is always in a directory, which may have a bound.
 */
function overlayOf(
  roots: ServiceRoots,
  name: string,
  { path, imageSize }: Pick<CreateTexts, 'path' | 'imageSize'>,
  isContainer: boolean,
): Overlay {
  if ((imageSize === undefined || isContainer) && roots.scope === 'system')
    return { type: 'directory', path: join(path === undefined ? roots.directories : hostPath(path, '--path'), name) };
  return {
    type: 'image',
    path: join(path === undefined ? roots.images : hostPath(path, '--path'), `${name}.qcow2`),
  };
}

function parseImageSize(text: string): number {
  const bytes = parseSize(text, '--imagesize', MEGABYTE);
  if (bytes >= LEAST_IMAGE) return bytes;
  throw configError(
    'service-image-too-small',
    `--imagesize ${quote(text)} is too little for a file system`,
    `give it ${LEAST_IMAGE / MEGABYTE} (MB) or more; what is not written takes no room on the host`,
  );
}

function parseRestart(text: string): RestartPolicy {
  const policy = RESTART_POLICIES.find((one) => one === text);
  if (policy !== undefined) return policy;
  throw configError('restart-unknown', `--restart cannot be ${quote(text)}`, `write ${RESTART_POLICIES.join(', ')}`);
}
