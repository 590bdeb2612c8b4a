/** The errors of a daemon of libvirt that cannot be reached. */
import { SandboxError } from '../util/errors.js';
import { shortOption } from '../util/option-names.js';
import { tidy } from './errors.js';

/** The error for a daemon that cannot be connected to; `message` is libvirt's. */
export function connectError(uri: string, message: string): SandboxError {
  return new SandboxError({
    stage: 'libvirt',
    code: 'libvirt-unreachable',
    message: `cannot connect to ${uri}: ${tidy(message)}`,
    remedy:
      REMEDIES[uri]?.() ??
      `install the libvirt daemon (Debian: libvirt-daemon), or leave out ${shortOption('connect')} to do without a daemon`,
  });
}

/** The error for a daemon that accepts connections and does not answer. */
export function silentError(uri: string, milliseconds: number): SandboxError {
  const instead = uri === 'lxc:///' ? 'for a virtual machine' : 'to do without a daemon';
  return new SandboxError({
    stage: 'libvirt',
    code: 'libvirt-silent',
    message: `the daemon of ${uri} has not answered within ${milliseconds / 1000} s`,
    remedy: `see what it waits for (is it stopped?), restart it, or leave out ${shortOption('connect')} ${instead}`,
  });
}

const REMEDIES: Readonly<Record<string, () => string>> = {
  'qemu:///system': () =>
    `start libvirtd (as root: libvirtd -d), or leave out ${shortOption('connect')} to do without a daemon`,
  'qemu:///session': () =>
    `leave out ${shortOption('connect')} to do without a daemon; else see why it does not start, as an ordinary user with a short XDG_RUNTIME_DIR: libvirtd -v`,
  'lxc:///': () =>
    `start libvirtd (as root: libvirtd -d) with its LXC driver (Debian: libvirt-daemon-driver-lxc), or leave out ${shortOption('connect')} for a virtual machine`,
};
