/** The commands and options of virt-sandbox-bake: for the parser, the help and the manual page. */
import type { Options } from 'yargs';
import { INITRD_COMPRESSIONS } from '../../image/manifest.js';
import { registryOptions } from '../registry-options.js';

/** One command. */
export interface BakeCommand {
  /** In the syntax of yargs: the name, then <required> and [optional] arguments. */
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
    describe: 'Make an image, or find the one that is there',
    options: {
      kernver: text('kernel version [the running kernel if it can boot a sandbox, else the newest that can]'),
      kernpath: text('kernel image [/boot/vmlinuz-VERSION]'),
      kmodpath: text('directory of module trees [/lib/modules]'),
      name: text('name for the image; another image with this name loses it', 'n'),
      output: text('also write the image to this directory', 'o'),
      with: text('module sets to add, separated by commas: network, block, overlay, …', 'w'),
      for: text('options of virt-sandbox, as one word: add what such a sandbox needs'),
      profile: text('profile that the sandboxes boot with [default]'),
      compress: text(`compression of the initrd: ${INITRD_COMPRESSIONS.join(', ')} [none, which boots fastest]`),
      'common-init': text('where the common init runs: host, in the launcher; guest, on Node.js in the machine [host]'),
      node: text('Node.js for --common-init guest [the one that runs this program]'),
      warm: { type: 'boolean', describe: 'also boot a machine and save a snapshot, for warm starts' },
      root: text('with --prepare: image that is the root, such as docker://NAME', 'r'),
      prepare: text('with --warm: command for sh -c that runs in the machine before it is saved'),
      ready: text('with --prepare: file:PATH or line:TEXT says that it is ready, and runs on [when it has ended]'),
      notify: text('with --ready: signal by which it is told that it was restored, such as USR1'),
      'prepare-timeout': text('with --prepare: how long it may take, such as 5m [10m]'),
      slots: text('with --warm: slots of the snapshot, such as mounts=4,disks=2,networks=1 [mounts=4]'),
      connect: text('with --warm: libvirt URI, as for virt-sandbox', 'c'),
      rebuild: { type: 'boolean', describe: 'make the image even if it is there' },
      json,
    },
  },
  list: { command: 'list', describe: 'List the images of the store', options: { json } },
  show: { command: 'show <image>', describe: 'Show what an image is made of', options: { json } },
  ls: { command: 'ls <image>', describe: 'List what is in an initrd', options: { json } },
  cat: { command: 'cat <image> <file>', describe: 'Write a file of an initrd to stdout', options: { json } },
  unpack: {
    command: 'unpack <image> <directory>',
    describe: 'Unpack an initrd into a directory, and nowhere else',
    options: { json },
  },
  push: {
    command: 'push <image> <reference>',
    describe: 'Put an image with its snapshots into a registry, for other hosts',
    options: {
      cold: { type: 'boolean', describe: 'without its snapshots' },
      sign: { type: 'boolean', describe: 'have cosign sign it, before it has its tag' },
      'sign-key': text("with --sign: the key, as cosign's --key [cosign asks who you are]"),
      ...registryOptions,
      json,
    },
  },
  pull: {
    command: 'pull <reference>',
    describe: 'Get an image from a registry, and those of its snapshots that serve on this host',
    options: {
      name: text('name of the image in the store', 'n'),
      cold: { type: 'boolean', describe: 'without its snapshots' },
      ...registryOptions,
      json,
    },
  },
  diff: { command: 'diff <a> <b>', describe: 'Show where two images or initrds differ', options: { json } },
  verify: {
    command: 'verify [image..]',
    describe: 'Read images and report what changed since they were baked',
    options: { all: { type: 'boolean', describe: 'every image of the store' }, json },
  },
  rm: {
    command: 'rm <image..>',
    describe: 'Remove images that are not in use',
    options: { warm: { type: 'boolean', describe: 'only their snapshots' }, json },
  },
  prune: {
    command: 'prune',
    describe: 'Remove images without a name that are not in use, and what killed builders left behind',
    options: {
      'older-than': text('only images unused for this long: 30d, 12h, 5m, 10s'),
      stale: { type: 'boolean', describe: 'only snapshots that are stale or damaged' },
      'dry-run': { type: 'boolean', describe: 'only show what would be removed' },
      json,
    },
  },
} as const satisfies Record<string, BakeCommand>;

export type BakeCommandName = keyof typeof bakeCommands;

export const bakeUsage = `Usage: virt-sandbox-bake COMMAND [OPTIONS]

Makes, keeps and inspects the boot images that virt-sandbox boots machines from.`;

export const bakeEpilogue = `An image is given by its name, by its id or the beginning of that, or by a directory with a slash in its path.
ls, cat, unpack and diff also take any initrd by its path. REFERENCE is [HOST[:PORT]/]NAME[:TAG], of pull also
with @DIGEST.

Exit status: 0; 1 when verify finds damage or diff a difference; 125 for a failure; 130 or 143 when
SIGINT or SIGTERM interrupted create, push or pull.

Environment: XDG_CACHE_HOME (images), XDG_CONFIG_HOME (profiles), VIRT_SANDBOX_PROFILE (as --profile),
LIBVIRT_DEFAULT_URI (as --connect), REGISTRY_AUTH_FILE (as --authfile), HTTPS_PROXY, HTTP_PROXY, NO_PROXY.`;
