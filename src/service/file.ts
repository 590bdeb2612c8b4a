/** The file of a service: a sandbox.cfg with keys of ours in `[service]`. */
import { readFile } from 'node:fs/promises';
import { configError, quote } from '../config/errors.js';
import { KeyFile } from '../config/sandbox-cfg/keyfile.js';
import { formatSandboxCfg, parseSandboxCfg } from '../config/sandbox-cfg/sandbox-cfg.js';
import { Section } from '../config/sandbox-cfg/section.js';
import type { SandboxConfig } from '../config/types.js';
import { isSystemError, messageOf } from '../util/errors.js';
import { replaceFile } from '../util/replace-file.js';
import { serviceNotFound } from './errors.js';
import { type ServiceRoots, servicePaths } from './paths.js';
import { DEFAULT_SETTINGS, RESTART_POLICIES, type Service, type ServiceSettings } from './types.js';

const GROUP = 'service';
const MOST_MILLISECONDS = 86_400_000;

/** What a file of a service describes. */
export type Described = Pick<Service, 'config' | 'settings'>;

/**
 * The text of a service's sandbox.cfg.
 * @throws {SandboxError} `key-file-not-utf8`
 */
export async function formatService({ config, settings }: Described): Promise<string> {
  // Without a word about it root in such a file keeps every capability.
  const said = { ...config, privileged: config.privileged ?? false };
  const file = KeyFile.parse(await formatSandboxCfg(said), 'sandbox.cfg');
  const put = (key: string, value: string | number | boolean | undefined) => {
    if (value !== undefined) file.set(GROUP, key, value);
  };
  const changed = <K extends keyof ServiceSettings>(key: K) =>
    settings[key] === DEFAULT_SETTINGS[key] ? undefined : settings[key];
  put('connect', settings.connect);
  put('restart', changed('restart'));
  put('autostart', changed('autostart'));
  put('health', settings.health);
  put('healthinterval', changed('healthInterval'));
  put('starttimeout', changed('startTimeout'));
  put('stoptimeout', changed('stopTimeout'));
  put('filetype', settings.filetype);
  for (const [index, name] of settings.packages.entries()) put(`package.${index}`, name);
  for (const [index, path] of settings.copied.entries()) put(`copied.${index}`, path);
  return file.toString();
}

/**
 * What the text of a service's sandbox.cfg describes. One of an interactive sandbox is a generic service.
 * @throws {SandboxError} as `parseSandboxCfg`, and `config-value-invalid`
 */
export async function parseService(text: string, origin: string): Promise<Described> {
  const config = await parseSandboxCfg(text, { origin });
  const section = new Section(KeyFile.parse(text, origin), GROUP);
  return { config: asService(config), settings: readSettings(section) };
}

/** @throws {SandboxError} `service-not-found`, `config-not-readable`, and those of {@link parseService} */
export async function loadService(roots: ServiceRoots, name: string): Promise<Service> {
  const paths = servicePaths(roots, name);
  const text = await readServiceFile(paths.file, name);
  const { config, settings } = await parseService(text, paths.file);
  return { name, paths, config: { ...config, name }, settings };
}

/**
 * Writes a service's sandbox.cfg, as a whole or not at all. Its directory is there, and the caller has its lock.
 * @throws {SandboxError} `config-not-writable`
 */
export async function saveService({ paths, ...service }: Omit<Service, 'name'>): Promise<void> {
  const text = await formatService(service);
  try {
    await replaceFile(paths.file, text, { mode: 0o600, flush: true, isOnlyWriter: true });
  } catch (error) {
    throw configError(
      'config-not-writable',
      `cannot write the service to ${quote(paths.file)}: ${messageOf(error)}`,
      'make room, and look who may write there',
      error,
    );
  }
}

/** The text of the file. @throws {SandboxError} `service-not-found`, `config-not-readable` */
export async function readServiceFile(path: string, name: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ENOTDIR')) throw serviceNotFound(name);
    throw configError(
      'config-not-readable',
      `cannot read the service ${quote(name)} in ${quote(path)}: ${messageOf(error)}`,
      'run this as the user who has created the service',
      error,
    );
  }
}

function asService(config: SandboxConfig): SandboxConfig {
  return config.service === undefined ? { ...config, service: { type: 'generic' } } : config;
}

function readSettings(section: Section): ServiceSettings {
  const milliseconds = (key: string, standard: number) => section.whole(key, 1, MOST_MILLISECONDS) ?? standard;
  return {
    connect: section.text('connect'),
    restart: readRestart(section),
    autostart: section.flag('autostart', DEFAULT_SETTINGS.autostart),
    health: section.text('health'),
    healthInterval: milliseconds('healthinterval', DEFAULT_SETTINGS.healthInterval),
    startTimeout: milliseconds('starttimeout', DEFAULT_SETTINGS.startTimeout),
    stopTimeout: milliseconds('stoptimeout', DEFAULT_SETTINGS.stopTimeout),
    filetype: section.text('filetype'),
    packages: section.numberedTexts('package'),
    copied: section.numberedTexts('copied'),
  };
}

function readRestart(section: Section): ServiceSettings['restart'] {
  const text = section.text('restart');
  if (text === undefined) return DEFAULT_SETTINGS.restart;
  const policy = RESTART_POLICIES.find((one) => one === text);
  if (policy === undefined) throw section.invalid('restart', text, `write ${RESTART_POLICIES.join(', ')}`);
  return policy;
}
