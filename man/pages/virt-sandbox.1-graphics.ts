/** The text of `--graphics` in virt-sandbox(1). */
import type { Detail } from '../program-description.js';

export const graphics: Detail = {
  value: 'SCREEN',
  text: [
    'Gives the machine a screen, a keyboard and a pointer, and runs *COMMAND* on it. The sandbox ends with the command. Containers have no screen. *SCREEN* follows a `=`, since the next word begins the command; it is a list of words with commas between them:',
    {
      terms: [
        [
          '`vnc` or `none`',
          'Comes first. `vnc`, the default: viewers of VNC see the screen, on a socket in the directory of the sandbox, which only its user can reach: `virt-sandbox-ctl inspect` has its path. `none`: no viewer. `virt-sandbox-ctl screenshot` and programs see it with either.',
        ],
        ['`size=`*WIDTH*`x`*HEIGHT*', 'In pixels, each from 320 to 4095. The default is 1280x800.'],
        [
          '`compositor=`*NAME*',
          'What shows the command: `cage`, `xorg`, `weston`, or `none` for a command that draws on the card by itself. The root must have it. The default, `auto`, is cage, and Xorg where the root has no cage. With cage and weston programs of Wayland and of X11 run, and a window fills the screen. With Xorg those of X11 run, and no window manager does.',
        ],
      ],
    },
  ],
};
