/**
 * Prepares a start, without starting anything: connection, devices, security labels and, for a machine, what boots it.
 */

import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { checkHost } from '../../config/host-check.js';
import type { SandboxConfig } from '../../config/types.js';
import { securityLabels as labelsFor, type SecurityModel } from '../../domain/security.js';
import { isVirtiofs } from '../../domain/shares.js';
import { defaultStoreDirectory } from '../../image/resolve.js';
import { connect } from '../../libvirt/connect.js';
import type { Connection } from '../../libvirt/connection.js';
import { loadProfile } from '../../profile/load.js';
import type { Profile } from '../../profile/types.js';
import { messageOf, SandboxError } from '../../util/errors.js';
import { mark } from '../../util/marks.js';
import { unlessAborted } from '../../util/promises.js';
import { type Devices, prepareDevices } from '../devices/devices.js';
import { checkHomeDirectory } from '../devices/home-directory.js';
import { checkOverlayImage } from '../devices/overlay-image.js';
import { chooseRoot, type RootChoice, type RootTransport } from '../devices/root-transport.js';
import { withoutShareProgram } from '../devices/share-server.js';
import { rootShareOf } from '../domain-parts.js';
import { stopsBeforeRoot } from '../setup/breakpoint.js';
import { abortError } from '../start/boot-errors.js';
import { closedToQemu } from '../state/daemon-directory.js';
import type { LaunchOptions } from '../types.js';
import { containedConfig } from './contained.js';
import { checkDriver } from './driver-check.js';
import { ignoredByContainers } from './ignored.js';
import { checkLoopImage } from './loop-image.js';
import { chooseMachine } from './machine.js';
import { requireOpenFiles } from './open-files.js';
import type { Prepared, PreparedMachine } from './prepared.js';
import { callerLabel, securityModel } from './security-model.js';

/**
 * Connects, decides on devices, and finds or builds the boot image. The caller closes the connection.
 * @throws {SandboxError} whatever is wrong; the connection is closed then
 */
export async function prepare(asked: SandboxConfig, options: LaunchOptions): Promise<Prepared> {
  const name = asked.name ?? `sandbox-${randomBytes(4).toString('hex')}`;
  mark('prepare.start');
  requireOpenFiles();
  await checkHost(asked);
  checkHomeDirectory(asked);
  const profile = await loadProfile(options.profile ?? asked.profile);
  mark('connect.start');
  // Connect first: a user whose URI cannot be reached should not wait for a build.
  const connection = await connectUnlessAborted(options);
  try {
    const config = containedConfig(asked, connection.kind === 'lxc' ? 'container' : 'machine');
    checkDriver(config, connection.kind);
    // A container has none, whatever it is.
    checkOverlayImage(config);
    const model = await unlessAborted(securityModel(connection, config.security), options.signal, abortError);
    mark('connect.done', { uri: connection.uri });
    const securityLabels = labelsFor({ security: config.security, model, callerLabel, uuid: config.uuid });
    mark('image.start');
    const facts = { name, connection, profile, model, securityLabels };
    return await (connection.kind === 'lxc'
      ? prepareContainer(config, facts, options)
      : prepareServed(config, facts, options));
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** What does not depend on how the root is served. */
interface Facts extends Pick<Prepared, 'name' | 'connection' | 'securityLabels'> {
  readonly profile: Profile;
  readonly model: SecurityModel | undefined;
}

/** Decides on the devices with a root that is served so. */
async function devicesWith(
  root: RootTransport,
  config: SandboxConfig,
  { name, connection: { kind }, model }: Facts,
  options: LaunchOptions,
): Promise<Devices> {
  const devices = await prepareDevices(config, { name, kind, root, model, breakpoint: options.breakpoint });
  if (devices.shares.some((share) => isVirtiofs(share) && share.program === undefined))
    options.onChoice?.(withoutShareProgram());
  return devices;
}

async function prepareContainer(config: SandboxConfig, facts: Facts, options: LaunchOptions): Promise<Prepared> {
  const { name, connection, securityLabels } = facts;
  await checkLoopImage(config);
  const devices = await devicesWith('9p', config, facts, options);
  if (stopsBeforeRoot(config, { name, devices }, options)) throw noShellWithoutRoot();
  const { image = config.image, profile = config.profile } = options;
  const ignored = ignoredByContainers({ ...config, image, profile });
  if (ignored !== undefined) options.onChoice?.(ignored);
  return { platform: 'container', name, connection, devices, securityLabels };
}

/** Decides on the devices with a root that is served so, and on what boots them. */
async function prepareMachine(
  root: RootTransport,
  config: SandboxConfig,
  facts: Facts,
  options: LaunchOptions,
): Promise<PreparedMachine> {
  const { name, connection, profile, securityLabels } = facts;
  const devices = await devicesWith(root, config, facts, options);
  const withoutRoot = stopsBeforeRoot(config, { name, devices }, options);
  const choices = await chooseMachine(config, { connection, profile, devices }, options, withoutRoot);
  return { platform: 'machine', name, connection, profile, devices, securityLabels, ...choices };
}

/** @throws what is thrown with the first choice of what serves the root, if the kernel has no other either */
async function prepareServed(config: SandboxConfig, facts: Facts, options: LaunchOptions): Promise<PreparedMachine> {
  const { connection, model } = facts;
  const { other, ...choice } = await chooseRoot(config, { kind: connection.kind, model, connection });
  try {
    const prepared = await prepareMachine(choice.transport, config, facts, options);
    tellRoot(prepared, choice, options);
    return other === undefined
      ? prepared
      : { ...prepared, otherRoot: () => prepareMachine(other, config, facts, options) };
  } catch (error) {
    if (other === undefined || !lacksRoot(error, choice.transport)) throw error;
    const prepared = await prepareMachine(other, config, facts, options).catch((another: unknown) => {
      throw lacksFeature(another) ? error : another;
    });
    tellRoot(prepared, { transport: other, reason: `because ${messageOf(error)}` }, options);
    return prepared;
  }
}

function tellRoot(prepared: Prepared, { transport, reason }: RootChoice, options: LaunchOptions): void {
  if (rootShareOf(prepared) === undefined) return;
  options.onChoice?.(`root: over ${transport}, ${reason}`);
  tellOwners(transport, options);
}

/** An ordinary user's server knows no other owners: init/share-server/nobody.h */
function tellOwners(root: RootTransport, options: LaunchOptions): void {
  if (root !== 'virtiofs' || process.geteuid?.() === 0) return;
  options.onChoice?.("owners: files of all other users seem to be root's inside, set-user-ID programs too");
}

/** Whether the lack is that of the root, by what the errors name. Another one is the same whatever serves it. */
function lacksRoot(error: unknown, transport: RootTransport): boolean {
  return lacksFeature(error) && (transport === '9p' ? /\b9p/ : /\bvirtiofs/).test(messageOf(error));
}

/** Whether the kernel, or the image that was named, lacks a module set. */
function lacksFeature(error: unknown): boolean {
  return error instanceof SandboxError && LACKS.includes(error.code);
}

const LACKS: readonly string[] = ['feature-absent', 'image-lacks'];

async function connectUnlessAborted({ connect: uri, onChoice, signal }: LaunchOptions): Promise<Connection> {
  const cacheDirectory = join(dirname(defaultStoreDirectory()), 'libvirt');
  const connecting = connect({ uri, cacheDirectory, againstSystem: closedToQemu, ...(onChoice ? { onChoice } : {}) });
  try {
    return await unlessAborted(connecting, signal, abortError);
  } catch (error) {
    // It may still come. Close it then.
    connecting.then((late) => late.close()).catch(() => {});
    throw error;
  }
}

/** Only boot images have a shell without a root. */
function noShellWithoutRoot(): SandboxError {
  return new SandboxError({
    stage: 'config',
    code: 'container-without-shell',
    message: 'a container has no shell for a breakpoint before its root is there',
    remedy: 'stop before a later step, or use a qemu:/// connection',
  });
}
