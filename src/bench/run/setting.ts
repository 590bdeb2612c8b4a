/**
 * The setting of `virt-sandbox-bench nested`: a machine that QEMU emulates, in which this program measures sandboxes
 * under KVM.
 */

/** In the environment of a program that measures inside. */
export const NESTED_VARIABLE = 'VIRT_SANDBOX_BENCH_NESTED';

/** Options of virt-sandbox there, which others may override. A start takes several times as long as elsewhere. */
const OPTIONS = ['--accel', 'kvm', '--boot-timeout', '180'];

export function isNested(): boolean {
  return Boolean(process.env[NESTED_VARIABLE]);
}

/** Options of virt-sandbox that come before those of the user. */
export function optionsOfSetting(): readonly string[] {
  return isNested() ? OPTIONS : [];
}

/** What the figures of that setting stand for. */
export const NESTED_MEANING =
  'Measured with KVM inside a machine that QEMU emulates. Shares of the time are near those of a KVM host, and exits\n' +
  'to KVM are counted exactly. An exit costs far more than on hardware, and the times themselves stand for nothing.';
