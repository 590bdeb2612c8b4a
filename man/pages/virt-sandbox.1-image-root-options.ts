/** The options of virt-sandbox(1) that are about the image of a root. */
import type { Detail } from '../program-description.js';

export const imageRootDetails = {
  pull: {
    value: 'WHEN',
    complete: { words: ['missing', 'always', 'never'] },
    text: [
      'Says when the registry is asked for the image of `--root`. With `missing`, the default, only if the store has not got it. `always` looks whether the name means another image by now. `never` asks nobody.',
    ],
  },
  platform: {
    value: 'PLATFORM',
    text: [
      'Takes the image for this platform, such as `linux/amd64` or `linux/arm64/v8`, if there are several. The default is that of this host.',
    ],
  },
  authfile: {
    value: 'FILE',
    complete: 'file',
    text: [
      'Reads passwords of registries from *FILE*, in the form of podman’s *auth.json* and docker’s *config.json*. Without it, those files and their credential helpers are looked for where the two programs have them.',
    ],
  },
  'tls-verify': {
    value: 'BOOLEAN',
    complete: { words: ['true', 'false'] },
    text: [
      'With `false`, takes any certificate of the registry of `--root`, or speaks plain HTTP to it. Whoever is between it and this host can then read passwords, and give another image unless the name has a digest. The default is `true`; a registry on localhost may have plain HTTP anyway.',
    ],
  },
  entrypoint: {
    value: 'PROGRAM',
    text: [
      'Runs *PROGRAM* in place of the image’s entrypoint, and of its command. The words of *COMMAND* are its arguments.',
    ],
  },
  user: {
    value: 'USER',
    text: [
      'Runs as this user of the image: a name of its */etc/passwd*, or a number, and with `:`*GROUP* in that group alone. The default is what the image says, else root.',
    ],
  },
  'publish-all': {
    text: [
      'Publishes each port that the image exposes as a free port of 127.0.0.1, as `--publish` does, and says which.',
    ],
  },
} as const satisfies Readonly<Record<string, Detail>>;
