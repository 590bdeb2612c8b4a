/** The options of virt-sandbox that are about the image of a root. */
import type { Options } from 'yargs';

export const imageRootOptions = {
  pull: {
    type: 'string',
    requiresArg: true,
    describe: 'when to ask the registry for the image of --root: missing, always or never [missing]',
  },
  platform: {
    type: 'string',
    requiresArg: true,
    describe: "platform of the image, such as linux/amd64 [this host's]",
  },
  authfile: {
    type: 'string',
    requiresArg: true,
    describe: 'file with passwords of registries [those of virt-sandbox-image login, and of podman and docker]',
  },
  'tls-verify': {
    type: 'string',
    requiresArg: true,
    describe: 'false: take any certificate of the registry, or plain HTTP [true]',
  },
  entrypoint: {
    type: 'string',
    requiresArg: true,
    describe: 'program to run in place of the entrypoint and the command of the image',
  },
  user: {
    alias: 'u',
    type: 'string',
    requiresArg: true,
    describe: 'user of the image to run as: a name or number, with :GROUP if wanted [as the image says]',
  },
  'publish-all': { type: 'boolean', describe: 'publish all ports that the image exposes, each as a free port' },
} as const satisfies Record<string, Options>;
