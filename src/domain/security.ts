/**
 * The XML of security labels, which confine the sandbox's process on the host.
 *
 * https://libvirt.org/formatdomain.html#security-label
 */

import type { Security } from '../config/types.js';
import { SandboxError } from '../util/errors.js';
import { option } from '../util/option-names.js';
import type { Element } from './xml.js';

/** Supported models of mandatory access control. The first that the hypervisor has is used. */
export const SECURITY_MODELS = ['selinux', 'apparmor'] as const;
export type SecurityModel = (typeof SECURITY_MODELS)[number];

export interface LabelOptions {
  readonly security: Security;
  /** The hypervisor's model; undefined: none of {@link SECURITY_MODELS}. */
  readonly model: SecurityModel | undefined;
  /** Reads the label of the calling process, for `inherit`. */
  readonly callerLabel: () => string | undefined;
  /** The UUID that the config gives the sandbox. */
  readonly uuid: string | undefined;
}

/**
 * The `seclabel` elements of a sandbox.
 * @throws {SandboxError} `security-model-missing` for a label without a model, `security-base-label-unsupported`,
 *   `security-label-unknown` if the caller's cannot be read, `security-profile-not-a-domains`
 */
export function securityLabels({ security, model, callerLabel, uuid }: LabelOptions): Element[] {
  const { mode, label } = security;
  if (model === undefined) {
    if (mode === 'dynamic' && label === undefined) return [];
    throw missingModel(security);
  }
  if (mode === 'dynamic') return [dynamicLabel(model, label)];
  const wanted = label ?? callerLabel();
  if (wanted === undefined) {
    throw new SandboxError({
      stage: 'domain',
      code: 'security-label-unknown',
      message: `the ${NAMES[model]} label of this process cannot be read, so it cannot be inherited`,
      remedy: `give one: ${option('security')} static,label=LABEL`,
    });
  }
  if (model === 'apparmor') return [profileLabel(wanted, uuid)];
  // The process may read only files with its label, so libvirt relabels the sandbox's files while it runs.
  return [{ '@type': 'static', '@model': model, '@relabel': 'yes', label: wanted }];
}

/** libvirt confines a domain by the AppArmor profile libvirt-UUID and no other, whatever the label says. */
function profileLabel(profile: string, uuid: string | undefined): Element {
  // An unconfined caller has no profile to pass on.
  if (profile === 'unconfined') return { '@type': 'none', '@model': 'apparmor' };
  const own = PROFILE_NAME.exec(profile)?.[1];
  if (own !== undefined && (uuid === undefined || uuid.toLowerCase() === own)) {
    return { '@type': 'static', '@model': 'apparmor', '@relabel': 'no', label: profile };
  }
  const quoted = JSON.stringify(profile);
  throw new SandboxError({
    stage: 'domain',
    code: 'security-profile-not-a-domains',
    message:
      own === undefined
        ? `libvirt confines a sandbox by no AppArmor profile but one that is called libvirt-UUID, and ${quoted} was asked for`
        : `the AppArmor profile ${profile} is for another UUID than ${uuid}, which the sandbox was given`,
    remedy:
      'call the profile libvirt-UUID, load it, and give that name: the sandbox will have that UUID; or use dynamic',
  });
}

const PROFILE_NAME = /^libvirt-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** The UUID that a sandbox with these labels must have; undefined: any. */
export function uuidForLabels(labels: readonly Element[]): string | undefined {
  for (const { '@model': model, label } of labels) {
    if (model === 'apparmor' && typeof label === 'string') return PROFILE_NAME.exec(label)?.[1];
  }
  return undefined;
}

const NAMES: Readonly<Record<SecurityModel, string>> = { selinux: 'SELinux', apparmor: 'AppArmor' };

/** Without a label libvirt takes the base that the host's policy names for KVM, for emulation or for containers. */
function dynamicLabel(model: SecurityModel, label: string | undefined): Element {
  const dynamic = { '@type': 'dynamic', '@model': model, '@relabel': 'yes' };
  if (label === undefined) return dynamic;
  if (model === 'selinux') return { ...dynamic, baselabel: label };
  throw new SandboxError({
    stage: 'domain',
    code: 'security-base-label-unsupported',
    message: `a dynamic label of AppArmor has no base label, and ${JSON.stringify(label)} was given`,
    remedy: `leave the label out; or, if that profile is called libvirt-UUID, use ${option('security')} static,label=${label}`,
  });
}

function missingModel({ mode, label }: Security): SandboxError {
  const what =
    label === undefined
      ? `${option('security')} ${mode}`
      : `${option('security')} ${mode} with the label ${JSON.stringify(label)}`;
  return new SandboxError({
    stage: 'domain',
    code: 'security-model-missing',
    message: `${what} needs SELinux or AppArmor, and the hypervisor has neither`,
    remedy: `leave ${option('security')} out, or enable one of them in the kernel and in libvirt`,
  });
}

/** The first of {@link SECURITY_MODELS} in a hypervisor's capabilities: https://libvirt.org/formatcaps.html */
export function modelOfCapabilities(xml: string): SecurityModel | undefined {
  const models = [...xml.matchAll(/<secmodel>\s*<model>\s*([^<\s]+)\s*<\/model>/g)].map(([, name]) => name);
  return SECURITY_MODELS.find((model) => models.includes(model));
}

/** The label of SELinux from which a hypervisor makes those of domains of that type; undefined: it names none. */
export function baseLabelOfCapabilities(xml: string, type: 'kvm' | 'qemu' | 'lxc'): string | undefined {
  const models = [...xml.matchAll(/<secmodel>(.*?)<\/secmodel>/gs)].map(([, text = '']) => text);
  const selinux = models.find((text) => /<model>\s*selinux\s*<\/model>/.test(text)) ?? '';
  return new RegExp(`<baselabel type=["']${type}["']>\\s*([^<\\s]+)\\s*</baselabel>`).exec(selinux)?.[1];
}

/**
 * The `seclabel` element that has QEMU run as this user, and in no group but that one.
 *
 * @param relabel libvirt makes this user the owner of the sandbox's disks, and also of kernel and initrd
 */
export function ownerLabel({ uid, gid }: { uid: number; gid: number }, relabel: boolean): Element {
  return { '@type': 'static', '@model': 'dac', '@relabel': relabel ? 'yes' : 'no', label: `+${uid}:+${gid}` };
}
