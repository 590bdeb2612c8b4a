/**
 * What confines a service that names no label. libvirt labels an image anew at each start, but no directory: where
 * SELinux confines the service, a state in a directory needs a label that stays.
 */
import { dirname, join } from 'node:path';
import type { SandboxConfig, Security } from '../config/types.js';
import { expectedAcceleration } from '../domain/acceleration.js';
import { baseLabelOfCapabilities, modelOfCapabilities, type SecurityModel } from '../domain/security.js';
import { defaultStoreDirectory } from '../image/resolve.js';
import { connect, kindOf } from '../libvirt/connect.js';
import { embeddedModel } from '../libvirt/driver-cleanup.js';
import { closedToQemu } from '../sandbox/state/daemon-directory.js';
import { ignoreSandboxError } from '../util/errors.js';
import { hasSelinux, policyContexts } from '../util/selinux.js';

/** What the host says of labels. */
export interface LabelFacts {
  /** What confines the service; undefined: nothing. */
  readonly model: SecurityModel | undefined;
  /** That of the process, from which libvirt makes dynamic ones; undefined: not known. */
  readonly process: string | undefined;
  /** That of files to which such a process may write; undefined: not known. */
  readonly files: string | undefined;
}

export interface Confinement {
  /** Without categories. */
  readonly security: Security;
  /** SELinux type of the files of the state. */
  readonly filetype: string | undefined;
}

type Machine = Pick<SandboxConfig, 'acceleration' | 'requireKvm'>;

/** What is asked for. */
export interface AskedConfinement {
  /** SELinux type of the files. */
  readonly filetype: string | undefined;
  /** URI of the service; undefined: its start finds one. */
  readonly connect: string | undefined;
}

/** A label of SELinux without its level, and its type. */
const CONTEXT = /^([^:\s]+:[^:\s]+:([A-Za-z0-9_]+))(?::\S+)?$/;

/**
 * The default of a service: dynamic, as that of every sandbox, where libvirt labels all that the service writes to.
 * @param asked type of files; undefined: that of the policy
 */
export function usualConfinement(
  { security, overlay }: Pick<SandboxConfig, 'security' | 'overlay'>,
  asked: string | undefined,
  { model, process, files }: LabelFacts,
): Confinement {
  const dynamic = { security, filetype: asked };
  if (model !== 'selinux' || overlay?.type !== 'directory') return dynamic;
  const label = CONTEXT.exec(process ?? '')?.[1];
  const filetype = asked ?? CONTEXT.exec(files ?? '')?.[2];
  return label === undefined || filetype === undefined ? dynamic : { security: { mode: 'static', label }, filetype };
}

/**
 * The default of a service on this host. libvirt labels an image at each start, and a label is that of one URI: so there
 * is none for an image, or where no URI is known, and the host is not asked.
 * @param factsOf asks the host
 */
export async function confinementHere(
  config: Pick<SandboxConfig, 'security' | 'overlay'> & Machine,
  { filetype, connect }: AskedConfinement,
  factsOf: AskHost = labelFacts,
): Promise<Confinement> {
  if (config.overlay?.type !== 'directory' || connect === undefined) return { security: config.security, filetype };
  return usualConfinement(config, filetype, await factsOf(connect, config));
}

/** Says what the host says of labels, for a service of that URI. */
export type AskHost = (uri: string, config: Machine) => Promise<LabelFacts>;

/**
 * Asks the host. Its libvirt is asked where SELinux has a policy: it may be told to use none.
 */
export async function labelFacts(uri: string, config: Machine): Promise<LabelFacts> {
  if (!hasSelinux()) return { model: undefined, process: undefined, files: undefined };
  const type = kindOf(uri) === 'lxc' ? 'lxc' : machineType(config);
  const policy = policyContexts(type);
  const capabilities = await capabilitiesOf(uri);
  if (capabilities === undefined) return { model: embeddedModel(), ...policy };
  const process = baseLabelOfCapabilities(capabilities, type) ?? policy.process;
  return { model: modelOfCapabilities(capabilities), process, files: policy.files };
}

/** `qemu` is libvirt's word for emulation. The label stays, whatever the machine is started with later. */
function machineType(config: Machine): 'kvm' | 'qemu' {
  const { acceleration, requireKvm } = config;
  const wanted = requireKvm ? 'kvm' : acceleration;
  const expected = expectedAcceleration({ wanted, cacheDirectory: dirname(defaultStoreDirectory()) });
  return expected === 'kvm' ? 'kvm' : 'qemu';
}

/** Undefined: the driver has none, or none answers. A service can be made without a daemon. */
async function capabilitiesOf(uri: string): Promise<string | undefined> {
  const cacheDirectory = join(dirname(defaultStoreDirectory()), 'libvirt');
  const connection = await ignoreSandboxError(connect({ uri, cacheDirectory, againstSystem: closedToQemu }));
  if (connection === undefined) return undefined;
  try {
    return connection.capabilities && (await ignoreSandboxError(connection.capabilities()));
  } finally {
    await connection.close();
  }
}
