/** The commands and options of virt-sandbox-image, named as podman's: for the parser, the help and the manual page. */
import { type CommandEntry, flagOption as flag, textOption as text } from '../command-table.js';
import { registryOptions } from '../registry-options.js';

const json = flag('print JSON');
const quiet = flag('print names only', 'q');
const platform = text(
  'the image for this platform, such as linux/arm64 [of this host; of an image that is there: any]',
);
export const imageCommands = {
  pull: {
    command: 'pull <image>',
    describe: 'Fetch an image, and make a file system of it',
    options: { platform, ...registryOptions, quiet: flag('print the digest only, and nothing meanwhile', 'q'), json },
  },
  list: {
    command: 'list',
    describe: 'List the images that are there',
    options: {
      source: text(
        'print URIs: docker for images of registries that are there, virt-builder for all its templates',
        's',
      ),
      quiet,
      json,
    },
  },
  inspect: { command: 'inspect <image>', describe: 'Show what is known of an image', options: { platform, json } },
  history: {
    command: 'history <image>',
    describe: 'Show the steps that made an image, the last one first, with the sizes of their layers',
    options: { platform, 'no-trunc': flag('print the steps in full'), json },
  },
  diff: {
    command: 'diff <image> [other]',
    describe: 'List what the top layer of IMAGE adds (A), changes (C) and deletes (D), or OTHER in place of IMAGE',
    options: { platform, json },
  },
  tag: {
    command: 'tag <image> <name>',
    describe: 'Give an image one more name',
    options: { platform, json },
  },
  rm: {
    command: 'rm <image..>',
    describe: 'Remove images that are not in use',
    options: { platform, json },
  },
  prune: {
    command: 'prune',
    describe: 'Remove what no image needs, and what pulls have left that did not end',
    options: {
      all: flag('also images that no sandbox uses now', 'a'),
      'dry-run': flag('only show what would be removed'),
      json,
    },
  },
  verify: {
    command: 'verify [image..]',
    describe: 'Read images, or all of them, and report what is damaged',
    options: { platform, remove: flag('remove what is damaged, so that the next pull fetches it'), json },
  },
  login: {
    command: 'login [registry]',
    describe: 'Prove to a registry who you are, and keep that for pulls [docker.io]',
    options: {
      username: text('name of the user; without it you are asked', 'u'),
      'password-stdin': flag('read the password from standard input; without it you are asked'),
      ...registryOptions,
    },
  },
  logout: {
    command: 'logout [registry]',
    describe: 'Forget user and password of a registry [docker.io]',
    options: { authfile: registryOptions.authfile },
  },
  run: {
    command: 'run <image> [command..]',
    describe: 'Run a command in a sandbox whose root is an image; takes the options of virt-sandbox, too',
    runs: true,
    options: {
      pull: text('missing, always or never: when the registry is asked for the image [missing]'),
      platform,
      ...registryOptions,
    },
  },
} as const satisfies Record<string, CommandEntry>;

export type ImageCommandName = keyof typeof imageCommands;

/** Further names of commands: as in virt-sandbox-bake and virt-sandbox-ctl, and as in libvirt-sandbox. */
export const commandAliases: Readonly<Record<string, ImageCommandName>> = {
  ls: 'list',
  show: 'inspect',
  prepare: 'pull',
  purge: 'rm',
};

export const imageUsage = `Usage: virt-sandbox-image COMMAND [OPTIONS]

Fetches OCI images from registries and archives, keeps them as file systems, and runs sandboxes of them.`;

export const imageEpilogue = `IMAGE is a name as debian:13 or localhost:5000/x, oci:DIR:TAG, oci-archive:FILE, docker-archive:FILE,
tar:FILE or virt-builder:///NAME; of an image that is there also eight digits or more of its id. ls is list,
show is inspect; of libvirt-sandbox's words prepare is pull, purge is rm, and docker:///debian?tag=13 is
debian:13. virt-sandbox-image COMMAND --help shows the options of a command.

Exit status: 0; 1 when verify finds damage or diff of two images a difference; 125 for a failure; of run that
of the command, as of virt-sandbox; 129, 130 or 143 when SIGHUP, SIGINT or SIGTERM interrupted it.

Environment: XDG_CACHE_HOME (images), REGISTRY_AUTH_FILE (as --authfile), HTTPS_PROXY, HTTP_PROXY, NO_PROXY.`;
