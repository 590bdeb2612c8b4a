/** The options of virt-sandbox(1) that decide what boots, and on which machine. */
import type { Detail } from '../program-description.js';

export const bootDetails = {
  image: {
    value: 'IMAGE',
    complete: 'directory',
    text: [
      'Boots from this boot image, which virt-sandbox-bake(1) has made. *IMAGE* is a name, or a directory with a slash in its path. By default virt-sandbox finds an image that fits, or builds one. An image has a kernel: `--kernver` must match its version, and `--kernpath` and `--kmodpath` are errors.',
    ],
  },
  kernver: {
    value: 'VERSION',
    complete: 'kernel',
    text: [
      'Boots the kernel with this version, as `uname -r` prints it. The default is the running kernel if it is installed and can boot a sandbox, else the newest installed kernel that can.',
    ],
  },
  kernpath: {
    value: 'FILE',
    complete: 'file',
    text: ['Boots this kernel. The default is `/boot/vmlinuz-`*VERSION*.'],
  },
  kmodpath: {
    value: 'DIR',
    complete: 'directory',
    text: [
      'Takes modules from this directory, which holds a tree for each kernel version. The default is `/lib/modules`.',
    ],
  },
  memory: {
    value: 'SIZE',
    text: [
      'Sets the memory of the machine: MiB, or a number with K, M or G. The default is 512 MiB. A container may use at most this much.',
    ],
  },
  vcpus: { value: 'NUMBER', text: ['Sets the number of processors of the machine, 1 to 255. The default is 1.'] },
  accel: {
    value: 'KIND',
    complete: { words: ['auto', 'kvm', 'tcg'] },
    text: [
      '`kvm` requires KVM, `tcg` requires emulation. `auto`, the default, uses KVM if a guest has been seen to run under it, else emulation, and says so in one line on standard error.',
    ],
  },
  'require-kvm': {
    text: [
      'Refuses to start anything but a machine under KVM, before anything boots: no emulation, and no container. QEMU calls only a machine under KVM a security boundary.',
    ],
  },
  'nested-kvm': {
    text: [
      'Gives the machine a processor with `svm` or `vmx`, so that its kernel can run machines under KVM. By default it has neither, since they open much of the host’s KVM to the guest. Such a machine boots cold. A container ignores this option.',
    ],
  },
  boot: {
    value: 'HOW',
    complete: { words: ['auto', 'cold', 'warm'] },
    text: [
      '`warm` restores a snapshot that `virt-sandbox-bake create --warm` has made, and fails if none fits. `cold` boots a machine. `auto`, the default, is warm if a snapshot fits exactly, else cold; `-v` says which, and why.',
    ],
  },
  profile: {
    value: 'PROFILE',
    complete: { words: ['compatible', 'default', 'fast'] },
    text: [
      'Selects a profile. A profile decides how the machine boots: the kernel arguments, the initcalls that are skipped, the devices of the machine, and the form of the boot image. *PROFILE* is `compatible`, `default`, `fast`, the name of a profile of your own (see *FILES*), or a path with a slash in it. The default is VIRT_SANDBOX_PROFILE, else `default`.',
    ],
  },
} as const satisfies Readonly<Record<string, Detail>>;
