/**
 * What libvirt's embedded driver has to take back at the end of a domain outside the domain's own directory, which the
 * supervisor removes. Where that is nothing, the driver is killed, and need not remember owners.
 */

import { hasSelinux } from '../util/selinux.js';
import { readIfThere } from '../util/small-files.js';

/**
 * The model of mandatory access control that the driver has. It decides as libvirt does: SELinux if its policy is
 * loaded, AppArmor if there is a profile for the program that runs the driver, which is rare for the embedded one.
 */
export function embeddedModel(): 'selinux' | 'apparmor' | undefined {
  if (hasSelinux()) return 'selinux';
  const profiles = readIfThere('/sys/kernel/security/apparmor/profiles');
  return profiles !== undefined && /^(libvirtd|\S*\/virt-qemu-run) \(/m.test(profiles) ? 'apparmor' : undefined;
}

export interface Cleanup {
  /** Files get their owners or labels back. */
  readonly owners: boolean;
  /** Anything at all: those; ports, tap devices and rules of networks; directories for huge pages. */
  readonly any: boolean;
}

/**
 * @param xml The domain's, as `toXml` writes it: nothing that a user names can look like an attribute in it.
 * @param model {@link embeddedModel}. libvirt labels files even where the XML says nothing of labels
 * @param isRoot Else libvirt gives files to nobody.
 */
export function cleanupOf(xml: string, model = embeddedModel(), isRoot = process.geteuid?.() === 0): Cleanup {
  const isGivenAway = isRoot && !xml.includes('model="dac" relabel="no"');
  const owners = isGivenAway || model !== undefined || xml.includes('relabel="yes"');
  return { owners, any: owners || /<(?:interface|hugepages)\b/.test(xml) };
}
