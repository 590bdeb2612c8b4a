/** The options of virt-sandbox(1) that are about the root. */
import type { Detail } from '../program-description.js';
import { imageRootDetails } from './virt-sandbox.1-image-root-options.js';
import { overlay } from './virt-sandbox.1-overlay.js';

export const rootDetails = {
  root: {
    value: 'ROOT',
    complete: 'directory',
    text: [
      'Uses this directory of the host as the root inside; the default is `/`. The root is read-only, and the host enforces that. Nothing has to be installed in it. A mount with the target `/` replaces it.',
      'Or uses an OCI image:',
      {
        terms: [
          ['`docker://`[*HOST*[`:`*PORT*]`/`]*NAME*[`:`*TAG*][`@`*DIGEST*]', 'An image of a registry.'],
          ['`oci:`*DIR*[`:`*TAG*]', 'One of a directory in the OCI image layout.'],
          ['`oci-archive:`*FILE*[`:`*TAG*]', 'One of such a directory in a tar archive.'],
          ['`docker-archive:`*FILE*[`:`*NAME*]', 'One of an archive of `docker save`.'],
          ['`tar:`*FILE*', 'The root as a tar archive, which may be packed. It has no config.'],
          [
            '`virt-builder:///`*NAME*[`?arch=`*ARCHITECTURE*]',
            'A template of virt-builder(1), which has to be installed. It has no config.',
          ],
        ],
      },
      'The image is pulled once, and then kept. Its config says what runs, as which user, in which directory and with which variables, but for what options say: *COMMAND* replaces its command, and is the arguments of its entrypoint. Without *COMMAND* its own is run. What is written to the root goes into memory, unless `--overlay` says where. Root has the capabilities that other engines give it, and all with `-p`.',
    ],
  },
  ...imageRootDetails,
  'root-fs': {
    value: 'KIND',
    complete: { words: ['auto', '9p', 'virtiofs'] },
    text: [
      'Says what serves the root of a machine: `9p` (QEMU itself), or `virtiofs` (a server beside it). `auto`, the default, takes virtiofs where kernel and host have it, since programs start and read faster, else 9p; `-v` says which, and why. Ordinary users have virtiofs with `qemu:///session` and `qemu:///embed`, where the host allows user namespaces. A container ignores this option. The root of an OCI image is refused with it.',
    ],
  },
  'root-cache': {
    value: 'MODE',
    complete: { words: ['auto', 'never', 'always'] },
    text: [
      'Says what a machine keeps of the root that it has read. With `auto`, the default, it sees what changes on the host: over 9p at the next look, over virtiofs within a second. `never` keeps nothing. `always` keeps all, so that what changes on the host may not be seen, or in parts: it is for a root that does not change meanwhile, and the quickest there. A container, and a mount that replaces the root, ignore this option. The root of an OCI image is refused with it.',
    ],
  },
  overlay,
} as const satisfies Readonly<Record<string, Detail>>;
