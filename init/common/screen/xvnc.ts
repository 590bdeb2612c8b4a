/**
 * An X server that draws into memory, and is a VNC server: it needs no device, no module and no right.
 * docs/decisions/0073-xvnc.md says what was tried.
 */
import { type ScreenProgram, USER_DIRECTORY } from './compositors.js';

/** Where it listens for viewers, which the launcher brings. The directory is its user's alone. */
export const XVNC_SOCKET = `${USER_DIRECTORY}/vnc`;

export const XVNC: ScreenProgram = {
  name: 'xvnc',
  programs: ['/usr/local/bin/Xtigervnc', '/usr/bin/Xtigervnc', '/usr/bin/Xvnc'],
  needs: [['/usr/bin/xkbcomp']],
  packages: 'tigervnc-standalone-server',
};

/** @param desktop what viewers are told that it is called */
export function xvncWords(
  program: string,
  { width, height }: { readonly width: number; readonly height: number },
  desktop: string,
): string[] {
  return [
    ...[program, '-displayfd', '1', '-geometry', `${width}x${height}`, '-depth', '24', '-desktop', desktop],
    // Who may connect is decided on the host, and no viewer keeps others away by leaving early.
    ...['-rfbunixpath', XVNC_SOCKET, '-rfbunixmode', '0600', '-rfbport', '-1', '-SecurityTypes', 'None'],
    ...['-AlwaysShared', '-DisconnectClients=0', '-BlacklistThreshold=2147483647'],
    // No clipboard, in either direction, and nobody inside turns it on.
    ...['-AcceptCutText=0', '-SendCutText=0', '-SetPrimary=0', '-SendPrimary=0', '-AllowOverride='],
    ...['-AcceptSetDesktopSize=0', '-nolisten', 'tcp', '-nolisten', 'local', '-noreset', '-s', '0'],
  ];
}
