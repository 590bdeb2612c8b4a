/** The options of virt-sandbox(1) for mounts, includes and disks. */
import type { Detail } from '../program-description.js';

export const storageDetails = {
  mount: {
    value: 'TYPE:TARGET=SOURCE',
    complete: { types: ['host-bind', 'host-image', 'guest-bind', 'ram'] },
    text: [
      'Mounts something at *TARGET* inside. Mounts are made in the order of the command line. A mount with the target `/` replaces the root.',
      {
        terms: [
          [
            '`host-bind:`*TARGET*`=`[*DIR*][`,ro`]',
            'A directory of the host. Without *DIR*, virt-sandbox makes an empty directory and removes it with the sandbox.',
          ],
          [
            '`host-image:`*TARGET*`=`*FILE*[`,format=`*FORMAT*][`,ro`]',
            'The file system in a disk image or block device. *FORMAT* is `raw`, `qcow2` or another format that QEMU knows. Without `,format=` the extension of the name decides; an unknown extension means `raw`.',
          ],
          ['`guest-bind:`*TARGET*`=`*DIR*', 'Shows a directory that is already inside at a second path.'],
          [
            '`ram:`*TARGET*`=`*SIZE*',
            'An empty file system in memory that holds at most *SIZE*: bytes, or a number with K, KiB, M, MiB, G or GiB.',
          ],
        ],
      },
      '`,ro` makes it read-only. If a path itself ends with `,ro`, add `,rw`.',
    ],
  },
  include: {
    value: 'GUEST[=HOST]',
    complete: 'paths',
    text: [
      'Copies *HOST*, a file or a directory, to the path *GUEST* inside before the command starts. *GUEST* must be inside a mount. If several mounts are above it, the mount with the longest target takes the copy. *HOST* defaults to the path *GUEST*.',
    ],
  },
  includefile: {
    value: 'FILE',
    complete: 'file',
    text: ['Reads one `--include` value from each line of this file. They follow those of the command line.'],
  },
  disk: {
    value: 'TYPE:TAG=SOURCE',
    complete: { types: ['file', 'block'] },
    text: [
      'Adds a disk. Inside it is `/dev/disk/by-tag/`*TAG*.',
      {
        terms: [
          [
            '`file:`*TAG*`=`*FILE*[`,format=`*FORMAT*][`,ro`]',
            'A disk image. Without `,format=` the extension of the name decides; an unknown extension means `raw`.',
          ],
          ['`block:`*TAG*`=`*DEVICE*[`,ro`]', 'A block device of the host.'],
        ],
      },
      '`,ro` makes it read-only. If a path itself ends with `,ro`, add `,rw`.',
      'In a machine, a flush inside is one on the disk of the host, and so is the end of the sandbox. What is discarded inside (`fstrim`) is freed on the host. If the host has no space left, writes fail inside with an I/O error, and a warning names the disk. The exit status does not tell: a program that does not sync may end with 0, though the host refused what it wrote.',
    ],
  },
} as const satisfies Readonly<Record<string, Detail>>;
