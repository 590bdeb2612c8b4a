/** A monitor of QEMU beside that of libvirt, which has no element for one. */

const MONITOR_ID = 'launcher-monitor';

/**
 * QEMU's arguments for a monitor on the socket of the channel. QEMU connects its character devices in the order of its command line, in which
 * these come behind libvirt's own: so on a socket that is both, the channel is the first connection and the monitor is the second. What keeps QEMU in
 * its bounds, its user or a label, lets it reach the channel's socket, since libvirt knows of that; of one more it would know nothing.
 * https://www.qemu.org/docs/master/system/invocation.html
 */
export function monitorArguments(channelSocket: string): string[] {
  // A comma in a path is written twice: QEMU's manual, "Option values".
  const path = channelSocket.replaceAll(',', ',,');
  return ['-chardev', `socket,id=${MONITOR_ID},path=${path}`, '-mon', `chardev=${MONITOR_ID},mode=control`];
}
