/** The commands and options of virt-sandbox-bake, once: for the parser, the help, and the manual page. */
import type { Options } from 'yargs';
import { INITRD_COMPRESSIONS } from '../../image/manifest.js';

/** One command. */
export interface BakeCommand {
  /** As yargs has it: the name, <needed> and [optional] arguments. */
  readonly command: string;
  readonly describe: string;
  readonly options: Readonly<Record<string, Options>>;
}

const json = { type: 'boolean', describe: 'print JSON' } as const satisfies Options;

const text = (describe: string, alias?: string): Options => ({
  type: 'string',
  requiresArg: true,
  describe,
  ...(alias === undefined ? {} : { alias }),
});

export const bakeCommands = {
  create: {
    command: 'create',
    describe: 'Make an image, or find that it is there',
    options: {
      kernver: text('kernel version [the running one, else the newest that can]'),
      kernpath: text('kernel image [/boot/vmlinuz-VERSION]'),
      kmodpath: text('directory of module trees [/lib/modules]'),
      name: text('name to keep it under; an image that had the name loses it', 'n'),
      output: text('also write it to that directory', 'o'),
      with: text('what sandboxes may need beside a root, with commas between: network, block, overlay, …', 'w'),
      for: text('the options of a virt-sandbox that is to use it, as one word'),
      profile: text('the profile that those sandboxes boot by [default]'),
      compress: text(`how the initrd is packed: ${INITRD_COMPRESSIONS.join(', ')} [none, which boots fastest]`),
      'common-init': text(
        'host: the launcher drives the machine; guest: the machine has Node and does it itself [host]',
      ),
      node: text('the Node.js that such a machine has [the one that runs this]'),
      warm: { type: 'boolean', describe: 'also boot it and save the machine, for sandboxes that start at once' },
      slots: text('with --warm: what sandboxes may have at most: mounts=4,disks=2,networks=1 [mounts=4]'),
      connect: text('with --warm: libvirt URI, as for virt-sandbox', 'c'),
      rebuild: { type: 'boolean', describe: 'also when it is there' },
      json,
    },
  },
  list: { command: 'list', describe: 'List the images of the store', options: { json } },
  show: { command: 'show <image>', describe: 'Say what an image is made of', options: { json } },
  ls: { command: 'ls <image>', describe: 'List what is in an initrd', options: { json } },
  cat: { command: 'cat <image> <file>', describe: 'Write a file of an initrd to stdout', options: { json } },
  unpack: {
    command: 'unpack <image> <directory>',
    describe: 'Unpack an initrd into a directory, and nowhere else',
    options: { json },
  },
  diff: { command: 'diff <a> <b>', describe: 'Say where two images or initrds differ', options: { json } },
  verify: {
    command: 'verify [image..]',
    describe: 'Read images and say what was changed since they were baked',
    options: { all: { type: 'boolean', describe: 'every image of the store' }, json },
  },
  rm: {
    command: 'rm <image..>',
    describe: 'Remove images that are not in use',
    options: { warm: { type: 'boolean', describe: 'only the machines that were saved with them' }, json },
  },
  prune: {
    command: 'prune',
    describe: 'Remove the images that have no name and are not in use, and what builders left that were killed',
    options: {
      'older-than': text('only those not used for so long: 30d, 12h, 5m, 10s'),
      stale: { type: 'boolean', describe: 'only saved machines that no sandbox can start from any more' },
      'dry-run': { type: 'boolean', describe: 'only say what would be removed' },
      json,
    },
  },
} as const satisfies Record<string, BakeCommand>;

export type BakeCommandName = keyof typeof bakeCommands;

export const bakeUsage = `Usage: virt-sandbox-bake COMMAND [OPTIONS]

Makes, keeps and looks into the boot images that virt-sandbox runs machines from.`;

export const bakeEpilogue = `An image is a name, an id or its beginning, or a directory (with a slash in it). ls, cat, unpack and diff also
take any initrd by its path.

Exit status: 0; 1 when verify finds damage or diff a difference; 125 when it failed.

Environment: XDG_CACHE_HOME (images).`;
