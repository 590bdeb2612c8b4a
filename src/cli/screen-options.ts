/** Options of virt-sandbox for programs with windows. */
import type { Options } from 'yargs';

export const screenOptions = {
  graphics: {
    type: 'string',
    // The value follows a `=` only: the next word begins the command.
    requiresArg: false,
    describe:
      '[=vnc|spice|xvnc|none][,size=WIDTHxHEIGHT][,compositor=cage|xorg|weston|none][,resize=on|off][,listen=127.0.0.1:PORT]: a screen, a keyboard and a pointer [vnc,size=1280x800]',
  },
  view: {
    type: 'string',
    // As of graphics.
    requiresArg: false,
    describe:
      '[=xtigervncviewer|gvncviewer]: show the screen of --graphics in a viewer of this host [the first there is]',
  },
  clipboard: {
    type: 'string',
    requiresArg: true,
    describe: 'none, host-to-guest or both: texts that pass between viewers of the screen and COMMAND [none]',
  },
} as const satisfies Record<string, Options>;
