/** The version of the libvirt that is installed. */
import koffi from 'koffi';
import { messageOf, SandboxError } from '../util/errors.js';

/**
 * major * 1000000 + minor * 1000 + release, as libvirt.so says; 0 if it does not.
 *
 * @throws {SandboxError} `libvirt-missing`
 */
export function libraryVersion(): number {
  try {
    const getVersion = koffi
      .load('libvirt.so.0')
      .func('virGetVersion', 'int', [koffi.out(koffi.pointer('unsigned long')), 'str', 'void *']);
    const version: [number] = [0];
    return getVersion(version, null, null) === 0 ? Number(version[0]) : 0;
  } catch (error) {
    throw new SandboxError({
      stage: 'libvirt',
      code: 'libvirt-missing',
      message: `libvirt.so.0 cannot be loaded: ${messageOf(error)}`,
      remedy: 'install libvirt (Debian: libvirt0 and libvirt-daemon-driver-qemu)',
      cause: error,
    });
  }
}
