/**
 * The programs that show applications on the screen, and how each is started: as the application's user, without
 * capabilities, udev or a login manager. docs/decisions/0070-graphics.md says what was tried.
 */
import type { ScreenNodes } from './nodes.js';

export type CompositorName = 'cage' | 'xorg' | 'weston';

/** A program of the root that shows applications. */
export interface ScreenProgram {
  readonly name: CompositorName | 'xvnc';
  /** Paths of the program; the first that exists is started. */
  readonly programs: readonly string[];
  /** Files that it needs beside its program: one of each list. */
  readonly needs: readonly (readonly string[])[];
  /** Packages of Debian, for a remedy. */
  readonly packages: string;
}

/** Of a file that the init writes, for everybody to read. */
export interface ScreenFile {
  readonly path: string;
  readonly text: string;
}

/** What a compositor is started with. */
export interface CompositorStart {
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly files: readonly ScreenFile[];
  /** What programs that it shows are to have in their environment, beside the displays. */
  readonly variables?: Readonly<Record<string, string>>;
}

/** One that draws on a card. */
export interface Compositor extends ScreenProgram {
  readonly name: CompositorName;
  start(program: string, nodes: ScreenNodes, runtimeDirectory: string): CompositorStart;
}

/**
 * For files of the screen. /dev is a new file system in each machine, so an earlier run has left no link here, as it could
 * in /run of an overlay that is kept: the init makes files and changes owners with rights that nobody inside has.
 */
export const OWN_DIRECTORY = '/dev/.virt-sandbox/screen';

/** The directory of the user's sockets. */
export const USER_DIRECTORY = `${OWN_DIRECTORY}/user`;

/** Where libinput looks for what udev knows. A file system in memory is mounted there, for the same reason. */
export const UDEV_DIRECTORY = '/run/udev';

/**
 * The client that a Wayland compositor starts, and ends with: it says which displays there are, and stays. The application
 * is no child of the compositor, so its streams, signals and exit status are its own.
 */
const TELL = ['sh', '-c', 'echo "$WAYLAND_DISPLAY $DISPLAY"; while sleep 86400; do :; done'];

/** No seat daemon: the devices belong to the user. Drawn by the processor, since the card draws nothing in 3D. */
const WITHOUT_SEAT = { LIBSEAT_BACKEND: 'noop' };

/**
 * cage answers no window that asks for another size before it is shown. Programs of the X Toolkit, such as xterm, would
 * wait five seconds for that. In milliseconds.
 */
const XT_RESOURCES: ScreenFile = { path: `${OWN_DIRECTORY}/Xt`, text: '*wmTimeout: 100\n' };

const QUIRKS_DIRECTORY = `${OWN_DIRECTORY}/quirks`;
const NO_QUIRKS: ScreenFile = { path: `${QUIRKS_DIRECTORY}/none.quirks`, text: '# none\n' };

/** Of the compositor's environment, and so of its Xwayland: what they would read, and have no use for. */
const LITTLE_TO_READ = {
  // Ninety files on what real keyboards and mice do wrong. With no file at all libinput would warn.
  LIBINPUT_QUIRKS_DIR: QUIRKS_DIRECTORY,
  // All pointers of a theme. wlroots has some of its own.
  XCURSOR_PATH: OWN_DIRECTORY,
  // Drivers for cards that draw, with LLVM: half of the time in which Xwayland starts. Neither directory has one.
  __EGL_VENDOR_LIBRARY_DIRS: OWN_DIRECTORY,
  GBM_BACKENDS_PATH: OWN_DIRECTORY,
};

const cage: Compositor = {
  name: 'cage',
  programs: ['/usr/local/bin/cage', '/usr/bin/cage'],
  needs: [],
  packages: 'cage xwayland',
  start: (program, nodes) => ({
    argv: [program, '-d', '--', ...TELL],
    environment: { ...WITHOUT_SEAT, ...LITTLE_TO_READ, WLR_RENDERER: 'pixman' },
    files: [...udevFiles(nodes), XT_RESOURCES, NO_QUIRKS],
    variables: { XENVIRONMENT: XT_RESOURCES.path },
  }),
};

const weston: Compositor = {
  name: 'weston',
  programs: ['/usr/local/bin/weston', '/usr/bin/weston'],
  needs: [],
  packages: 'weston xwayland',
  start: (program, nodes) => ({
    argv: [
      ...[program, '--no-config', '--backend=drm', '--renderer=pixman', '--shell=kiosk', '--xwayland', '--idle-time=0'],
      ...['--', ...TELL],
    ],
    environment: { ...WITHOUT_SEAT, ...LITTLE_TO_READ },
    files: [...udevFiles(nodes), NO_QUIRKS],
  }),
};

/**
 * Clients take turns by the clock all the same. A signal of the timer could end the kernel's wait for a pointer's shape,
 * and QEMU would show the shape of before, or none: docs/decisions/0078-xorg-timer.md.
 */
const NO_TIMER = '-dumbSched';

const XORG_CONFIG = `${OWN_DIRECTORY}/xorg.conf`;

/** Where distributions keep Xorg's drivers. */
const XORG_MODULES = ['/usr/lib/xorg/modules', '/usr/lib64/xorg/modules'];

const xorg: Compositor = {
  name: 'xorg',
  // /usr/bin/Xorg may be a wrapper that asks who is at the console.
  programs: ['/usr/lib/xorg/Xorg', '/usr/libexec/Xorg', '/usr/bin/Xorg'],
  needs: [XORG_MODULES.map((path) => `${path}/input/evdev_drv.so`), ['/usr/bin/xkbcomp']],
  packages: 'xserver-xorg-core xserver-xorg-input-evdev x11-xkb-utils',
  start: (program, nodes, runtimeDirectory) => ({
    argv: [
      ...[program, '-displayfd', '1', 'vt1', '-keeptty', '-novtswitch', '-sharevts', '-nolisten', 'tcp'],
      ...['-noreset', NO_TIMER, '-s', '0', '-dpms', '-config', XORG_CONFIG, '-logfile', `${runtimeDirectory}/Xorg.log`],
    ],
    environment: {},
    files: [{ path: XORG_CONFIG, text: xorgConfig(nodes) }],
  }),
};

export const COMPOSITORS: Readonly<Record<CompositorName, Compositor>> = { cage, xorg, weston };

/**
 * Reads and writes the clipboard, of an X server or of Xwayland. A Wayland program could do so only with a window of its own
 * that has the focus: cage and weston do not have the protocol by which clipboard managers do without.
 */
export const CLIPBOARD_TOOL = { name: 'xclip', paths: ['/usr/local/bin/xclip', '/usr/bin/xclip'] } as const;

/** In the order in which they are looked for. A desktop is not what a sandbox of one program wants. */
export const USUAL: readonly CompositorName[] = ['cage', 'xorg'];

/** What udev would tell libinput of the devices: that they are there, and what they are. */
function udevFiles({ card, keyboard, pointer }: ScreenNodes): ScreenFile[] {
  const data = (path: string, properties: readonly string[]) => ({
    path: `${UDEV_DIRECTORY}/data/${path}`,
    text: ['I:1', ...properties.map((name) => `E:${name}=1`), ''].join('\n'),
  });
  return [
    { path: `${UDEV_DIRECTORY}/control`, text: '' },
    data(`c${card.major}:${card.minor}`, []),
    data(`c${keyboard.major}:${keyboard.minor}`, ['ID_INPUT', 'ID_INPUT_KEY', 'ID_INPUT_KEYBOARD']),
    data(`c${pointer.major}:${pointer.minor}`, ['ID_INPUT', 'ID_INPUT_MOUSE']),
  ];
}

/** Xorg looks for no device by itself: without udev it would find none. */
function xorgConfig({ card, keyboard, pointer }: ScreenNodes): string {
  const input = (name: string, path: string, options: string) => `Section "InputDevice"
  Identifier "${name}"
  Driver "evdev"
  Option "Device" "${path}"
  ${options}
EndSection
`;
  // QEMU's tablet can be touched, so that it is a touchpad to the driver, which would be told how far a finger moves.
  const isTablet = 'Option "CorePointer"\n  Option "Mode" "Absolute"';
  return `Section "ServerFlags"
  Option "AutoAddDevices" "false"
  Option "AutoEnableDevices" "false"
  Option "AutoAddGPU" "false"
EndSection
${input('keyboard', keyboard.path, 'Option "CoreKeyboard"')}${input('pointer', pointer.path, isTablet)}Section "Device"
  Identifier "card"
  Driver "modesetting"
  Option "kmsdev" "${card.path}"
  Option "AccelMethod" "none"
EndSection
Section "Screen"
  Identifier "screen"
  Device "card"
EndSection
Section "ServerLayout"
  Identifier "layout"
  Screen "screen"
  InputDevice "keyboard"
  InputDevice "pointer"
EndSection
`;
}
