/** The text of `--graphics` in virt-sandbox(1). */
import type { Detail } from '../program-description.js';

export const graphics: Detail = {
  value: 'SCREEN',
  text: [
    'Gives the machine a screen, a keyboard and a pointer, and runs *COMMAND* on it. The sandbox ends with the command. A container has a screen with `xvnc` only. *SCREEN* follows a `=`, since the next word begins the command; it is a list of words with commas between them:',
    {
      terms: [
        [
          '`vnc`, `spice`, `none` or `xvnc`',
          'Comes first. `vnc`, the default: viewers of VNC see the screen, on a socket in the directory of the sandbox, which only its user can reach: `virt-sandbox-ctl inspect` has its path. `spice`: the same for viewers of SPICE, which needs that module of QEMU. `none`: no viewer. `xvnc`: there is no card, and Xtigervnc of the root shows X11 programs, also in a container or where the kernel has no DRM; viewers, at the same socket, then talk to a program of the guest, which can send them anything. It has no `compositor=` and no `listen=`, and keeps its size. `virt-sandbox-ctl screenshot` and programs see it with each.',
        ],
        ['`size=`*WIDTH*`x`*HEIGHT*', 'In pixels, each from 320 to 4095. The default is 1280x800.'],
        [
          '`listen=`*ADDRESS*`:`*PORT*',
          'With `vnc`: viewers come to this TCP port as well, with a password that is new for each sandbox. It is said on stderr once, and `virt-sandbox-ctl inspect` has it. *ADDRESS* is `127.0.0.1` or `[::1]`, since VNC is not encrypted; from another host, open a tunnel with ssh(1). *PORT* 0 is a free one. The default is no port.',
        ],
        [
          '`compositor=`*NAME*',
          'What shows the command: `cage`, `xorg`, `weston`, or `none` for a command that draws on the card by itself. The root must have it. The default, `auto`, is cage, and Xorg where the root has no cage. With cage and weston programs of Wayland and of X11 run, and a window fills the screen. With Xorg those of X11 run, and no window manager does.',
        ],
        [
          '`resize=on` or `off`',
          'Whether a viewer gives the screen the size of its window, and a program of the host any size. The default is `on`. weston, and a command that draws by itself, keep the size.',
        ],
      ],
    },
  ],
};

export const view: Detail = {
  value: 'NAME',
  text: [
    'Shows the screen of `--graphics` in a viewer of this host: the first of `xtigervncviewer` and `gvncviewer` that works, or *NAME*, which follows a `=`. The viewer ends with the sandbox, and the sandbox does not end with the viewer. Where none is installed, or there is no `DISPLAY` and no `WAYLAND_DISPLAY`, a line on stderr says what to run, and the sandbox goes on. The viewer has the rights of virt-sandbox. Cannot go with `--detach`.',
  ],
};
