/** Reads a sandbox from a sandbox.cfg of this package or of libvirt-sandbox. */
import { isRootImage } from '../../oci-names/root-image.js';
import { defaultConfig } from '../defaults.js';
import { configError, quote } from '../errors.js';
import type { Clipboard, Graphics } from '../graphics-types.js';
import { isRoot } from '../identity.js';
import { parseAcceleration, parseBootMode } from '../parsers/acceleration.js';
import { parseClipboard } from '../parsers/clipboard.js';
import { parseGraphics } from '../parsers/graphics.js';
import { parsePublish } from '../parsers/publish.js';
import { parseRootCache } from '../parsers/root-cache.js';
import { parseRootFs } from '../parsers/root-fs.js';
import { parseRoot, withImageTexts } from '../root.js';
import type { Hidden, Home, Identity, Mount, Overlay, Root, SandboxConfig, Security, Service } from '../types.js';
import { LEAST_MEMORY, MOST_MEMORY, MOST_VCPUS } from '../validate.js';
import {
  DEFAULT_BOOT_TARGET,
  DEFAULT_COMMAND,
  GENERIC_CLASS,
  IMAGE_KEYS,
  INTERACTIVE_CLASS,
  SYSTEMD_CLASS,
  systemdCommand,
  UNNAMED,
} from './format.js';
import { KeyFile } from './keyfile.js';
import { readDisks, readEnvironment, readMounts, readNetworks } from './read-devices.js';
import { readTuning } from './read-tuning.js';
import { Section } from './section.js';

/** Largest uid or gid; the one above it means "none". */
const LAST_ID = 0xfffffffe;

/** What the file may leave to the host. */
export interface ReadContext {
  /** The identity if the file has none. */
  readonly caller: () => Promise<Identity>;
  /** The identity of root. @param savedHome the home that the file has for root */
  readonly root: (savedHome: string) => Promise<Identity>;
  /** The groups of the file's user if the file does not list them. */
  readonly groupsOf: (user: Omit<Identity, 'groups'>) => Promise<readonly number[]>;
}

/**
 * Reads a sandbox: the inverse of `writeSandboxCfg`. It does not validate the sandbox as a whole.
 * @param text the file's contents
 * @param origin the file's name, for messages
 * @throws SandboxError `key-file-invalid`, `key-file-value-invalid`, `config-class-missing`, `config-class-unknown`,
 *   `config-type-unknown`, `config-key-missing`, `config-value-invalid`, `config-number-gap`, `config-count-wrong`
 */
export async function readSandboxCfg(text: string, origin: string, context: ReadContext): Promise<SandboxConfig> {
  const file = KeyFile.parse(text, origin);
  const service = readService(file);
  const { identity, privileged } = await readIdentity(new Section(file, 'identity'), context);
  const core = new Section(file, 'core');
  const machine = new Section(file, 'machine');
  const defaults = defaultConfig(identity);
  const name = core.text('name');
  const acceleration = machine.text('acceleration');
  const boot = machine.text('boot');
  const rootFs = machine.text('rootfs');
  const rootCache = machine.text('rootcache');
  const root = readRoot(core.text('root'), new Section(file, 'root')) ?? defaults.root;
  return {
    ...defaults,
    // The file always has a name. UNNAMED means that none was chosen: two runs of the file must not collide.
    name: name === UNNAMED ? undefined : name,
    uuid: core.text('uuid'),
    root,
    rootFs: rootFs === undefined ? defaults.rootFs : parseRootFs(rootFs, `rootfs in ${machine.where}`),
    rootCache:
      rootCache === undefined ? defaults.rootCache : parseRootCache(rootCache, `rootcache in ${machine.where}`),
    overlay: readOverlay(new Section(file, 'overlay')),
    graphics: readGraphics(new Section(file, 'graphics')),
    clipboard: readClipboard(new Section(file, 'graphics')) ?? defaults.clipboard,
    arch: core.text('arch') ?? defaults.arch,
    kernel: { version: core.text('kernrelease'), path: core.text('kernpath'), modulesPath: core.text('kmodpath') },
    shell: core.flag('shell', false),
    debug: core.flag('debug', false),
    verbose: core.flag('verbose', false),
    cwd: core.text('cwd'),
    privileged,
    mounts: withoutOwnFiles(readMounts(file), service),
    environment: readEnvironment(file),
    disks: readDisks(file),
    networks: readNetworks(file),
    security: readSecurity(new Section(file, 'security')),
    userNamespaces: new Section(file, 'security').flag('userns', false),
    hidden: readHidden(new Section(file, 'hide')),
    home: readHome(new Section(file, 'home')),
    publish: new Section(file, 'publish').numberedTexts('port').map(parsePublish),
    service,
    tty: new Section(file, 'interactive').flag('tty', false),
    command: readCommand(new Section(file, 'command'), service, root),
    memory: machine.whole('memory', LEAST_MEMORY, MOST_MEMORY) ?? defaults.memory,
    vcpus: machine.whole('vcpus', 1, MOST_VCPUS) ?? defaults.vcpus,
    acceleration:
      acceleration === undefined
        ? defaults.acceleration
        : parseAcceleration(acceleration, `acceleration in ${machine.where}`),
    requireKvm: machine.flag('requirekvm', false),
    nestedKvm: machine.flag('nestedkvm', false),
    sound: machine.flag('sound', false),
    boot: boot === undefined ? defaults.boot : parseBootMode(boot, `boot in ${machine.where}`),
    image: machine.text('image'),
    profile: machine.text('profile'),
    bootTimeout: machine.whole('boottimeout', 1, 86_400_000) ?? defaults.bootTimeout,
    tuning: readTuning(file),
  };
}

function readService(file: KeyFile): Service | undefined {
  const name = file.get('api', 'class');
  if (name === INTERACTIVE_CLASS) return undefined;
  if (name === GENERIC_CLASS) return { type: 'generic' };
  if (name === SYSTEMD_CLASS) {
    const section = new Section(file, 'service');
    const bootTarget = section.text('bootTarget') ?? DEFAULT_BOOT_TARGET;
    return { type: 'systemd', bootTarget, units: section.numberedTexts('unit') };
  }
  const remedy = `write class=${INTERACTIVE_CLASS}, ${GENERIC_CLASS} or ${SYSTEMD_CLASS} in [api]`;
  if (name === undefined) throw configError('config-class-missing', `${file.origin} has no class`, remedy);
  throw configError('config-class-unknown', `${file.origin} has the unknown class ${quote(name)}`, remedy);
}

/** Files that a systemd has of the sandbox, whatever its root has: init/common/systemd-scripts.ts */
const OWN_FILES = ['/etc/machine-id', '/etc/hostname', '/etc/fstab'];

/** libvirt-sandbox had them in the content of a service, and mounted each. Here only directories are mounted. */
function withoutOwnFiles(mounts: readonly Mount[], service: Service | undefined): readonly Mount[] {
  if (service?.type !== 'systemd') return mounts;
  return mounts.filter(({ type, target }) => type !== 'host-bind' || !OWN_FILES.includes(target));
}

/**
 * Needs all of the identity or none: a uid completed by the caller's gid could get root's group. If the file says that
 * the user is root and nothing about capabilities, it means what libvirt-sandbox means: root keeps them, and has root's
 * home.
 */
async function readIdentity(
  section: Section,
  context: ReadContext,
): Promise<Pick<SandboxConfig, 'identity' | 'privileged'>> {
  const said = section.text('privileged') === undefined ? undefined : section.flag('privileged', false);
  if (!section.exists) return { identity: await context.caller(), privileged: undefined };
  const user = {
    uid: section.needWhole('uid', 0, LAST_ID),
    gid: section.needWhole('gid', 0, LAST_ID),
    username: section.need('username'),
    home: section.need('homedir'),
  };
  const list = section.text('groups');
  const groups = list === undefined ? await context.groupsOf(user) : readGroups(section, list);
  if (said === false || !isRoot(user)) return { identity: { ...user, groups }, privileged: said };
  return { identity: { ...(await context.root(user.home)), gid: user.gid, groups }, privileged: true };
}

function readGroups(section: Section, list: string): readonly number[] {
  const groups = list.split(';').filter((part) => part !== '');
  const wrong = groups.find((part) => !/^[0-9]{1,10}$/.test(part) || Number(part) > LAST_ID);
  if (wrong !== undefined) throw section.invalid('groups', list, 'write group ids, each with a ; after it');
  return groups.map(Number);
}

function readSecurity(section: Section): Security {
  const label = section.text('label');
  if (section.flag('dynamic', true)) return { mode: 'dynamic', label };
  return { mode: section.flag('inherit', false) ? 'inherit' : 'static', label };
}

function readOverlay(section: Section): Overlay | undefined {
  const type = section.text('type');
  if (type === undefined || type === 'memory') return type && { type };
  if (type === 'directory' || type === 'image') return { type, path: section.need('path') };
  const remedy = 'write memory, directory or image, or leave the group out for a read-only root';
  throw section.invalid('type', type, remedy);
}

/** By the parser of the option: one for both. */
function readGraphics(section: Section): Graphics | undefined {
  if (!section.exists) return undefined;
  const words = ['size', 'compositor', 'resize', 'listen'].flatMap(
    (key) => section.text(key)?.replace(/^/, `${key}=`) ?? [],
  );
  return parseGraphics([section.text('viewers') ?? 'vnc', ...words].join(), section.where);
}

function readClipboard(section: Section): Clipboard | undefined {
  const clipboard = section.text('clipboard');
  return clipboard === undefined ? undefined : parseClipboard(clipboard, `clipboard in ${section.where}`);
}

/** A path stays as it is: one that is not absolute is refused with the sandbox as a whole. */
function readRoot(text: string | undefined, section: Section): Root | undefined {
  if (text === undefined) return undefined;
  const root = isRootImage(text)
    ? parseRoot(text, `root in ${section.where}`)
    : ({ type: 'directory', path: text } as const);
  const { publishAll: _flag, ...keys } = IMAGE_KEYS;
  const texts = Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, section.text(key)]));
  const publishAll = section.flag(IMAGE_KEYS.publishAll, false) || undefined;
  return withImageTexts(root, { ...texts, publishAll }, (name) => `${IMAGE_KEYS[name]} in ${section.where}`);
}

function readHidden(section: Section): Hidden {
  return { secrets: section.flag('secrets', true), paths: section.numberedTexts('path') };
}

function readHome(section: Section): Home | undefined {
  const type = section.text('type');
  if (type === undefined || type === 'tmp' || type === 'host') return type && { type };
  if (type === 'directory') return { type, path: section.need('path') };
  throw section.invalid('type', type, 'write tmp, host, or directory and its path');
}

function readCommand(section: Section, service: Service | undefined, root: Root): readonly string[] {
  if (service?.type === 'systemd') return systemdCommand(service.bootTarget);
  const command = section.numberedTexts('argv');
  // An image has its own.
  return command.length === 0 && root.type === 'directory' ? DEFAULT_COMMAND : command;
}
