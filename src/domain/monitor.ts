/** A second monitor of QEMU, for the launcher. libvirt has no element for it. */
import { optionValue } from '../util/qemu-options.js';

const MONITOR_ID = 'launcher-monitor';

/**
 * QEMU's arguments for a monitor on the channel's socket. QEMU connects character devices in the order of its command
 * line, and these come behind libvirt's own: the channel is the first connection on the socket, the monitor the second.
 * The monitor has no socket of its own because libvirt gives QEMU access, by owner and label, only to the sockets that
 * it knows of. https://www.qemu.org/docs/master/system/invocation.html
 */
export function monitorArguments(channelSocket: string): string[] {
  return [
    '-chardev',
    `socket,id=${MONITOR_ID},path=${optionValue(channelSocket)}`,
    '-mon',
    `chardev=${MONITOR_ID},mode=control`,
  ];
}
