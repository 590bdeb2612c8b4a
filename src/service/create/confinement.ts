/**
 * What confines a service that names no label. libvirt labels an image anew at each start, but no directory: where
 * SELinux confines the service, a state in a directory needs a label that stays.
 */
import { accessSync, constants } from 'node:fs';
import { dirname, join } from 'node:path';
import type { SandboxConfig, Security } from '../../config/types.js';
import { baseLabelOfCapabilities, modelOfCapabilities, type SecurityModel } from '../../domain/security.js';
import { defaultStoreDirectory } from '../../image/resolve.js';
import { connect, kindOf } from '../../libvirt/connect.js';
import { embeddedModel } from '../../libvirt/driver-cleanup.js';
import { closedToQemu } from '../../sandbox/state/daemon-directory.js';
import { ignoreSandboxError, valueOr } from '../../util/errors.js';
import { hasSelinux, policyContexts } from '../../util/selinux.js';

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
 * Asks the host. Its libvirt is asked where SELinux has a policy: it may be told to use none.
 * @param uri of the service; undefined: the default
 */
export async function labelFacts(
  uri: string | undefined,
  config: Pick<SandboxConfig, 'acceleration'>,
): Promise<LabelFacts> {
  if (!hasSelinux()) return { model: undefined, process: undefined, files: undefined };
  const type = uri !== undefined && kindOf(uri) === 'lxc' ? 'lxc' : machineType(config);
  const policy = policyContexts(type);
  const capabilities = await capabilitiesOf(uri);
  if (capabilities === undefined) return { model: embeddedModel(), ...policy };
  const process = baseLabelOfCapabilities(capabilities, type) ?? policy.process;
  return { model: modelOfCapabilities(capabilities), process, files: policy.files };
}

/** `qemu` is libvirt's word for emulation. A machine that falls back to it later keeps the label. */
function machineType({ acceleration }: Pick<SandboxConfig, 'acceleration'>): 'kvm' | 'qemu' {
  if (acceleration !== 'auto') return acceleration === 'kvm' ? 'kvm' : 'qemu';
  const opens = () => {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return true;
  };
  return valueOr(opens, false) ? 'kvm' : 'qemu';
}

/** Undefined: the driver has none, or none answers. A service can be made without a daemon. */
async function capabilitiesOf(uri: string | undefined): Promise<string | undefined> {
  const cacheDirectory = join(dirname(defaultStoreDirectory()), 'libvirt');
  const connection = await ignoreSandboxError(connect({ uri, cacheDirectory, againstSystem: closedToQemu }));
  if (connection === undefined) return undefined;
  try {
    return connection.capabilities && (await ignoreSandboxError(connection.capabilities()));
  } finally {
    await connection.close();
  }
}
