/**
 * The screen of a machine, with a keyboard and a pointer. All of it is virtio: a guest loads one driver for the card and
 * one for both input devices.
 *
 * https://libvirt.org/formatdomain.html#video-devices
 */
import { randomBytes } from 'node:crypto';
import type { Graphics, Viewers } from '../config/types.js';
import type { PciAddress } from './pci.js';
import type { Element } from './xml.js';

/** A card, a keyboard and a tablet: a pointer that is where the viewer's is. */
export const SCREEN_DEVICES = 3;

export interface Screen extends Pick<Graphics, 'width' | 'height' | 'listen'> {
  /** Who can look at it besides the launcher. */
  readonly viewers: Exclude<Viewers, 'xvnc'>;
}

/** Undefined: a sandbox with `xvnc` needs no card either. */
export function screenOf(graphics: Graphics | undefined): Screen | undefined {
  if (graphics === undefined || graphics.viewers === 'xvnc') return undefined;
  const { viewers, width, height, listen } = graphics;
  return { viewers, width, height, listen };
}

/** @param addresses of the three devices; undefined: libvirt chooses them */
export function screenElements(
  { width, height, viewers, listen }: Screen,
  addresses: readonly PciAddress[] | undefined,
): Readonly<Record<'graphics' | 'video' | 'input', Element[]>> {
  const input = (type: string, at: number) => ({ '@type': type, '@bus': 'virtio', address: addresses?.[at] });
  return {
    graphics: serversOf(viewers, listen),
    video: [
      {
        model: {
          ...{ '@type': 'virtio', '@heads': 1, '@primary': 'yes' },
          resolution: { '@x': width, '@y': height },
        },
        address: addresses?.[0],
      },
    ],
    input: [input('keyboard', 1), input('tablet', 2)],
  };
}

/** It listens nowhere: the launcher hands it its viewers. */
function serversOf(viewers: Screen['viewers'], listen: Screen['listen']): Element[] {
  switch (viewers) {
    case 'vnc':
      return [
        {
          // A viewer that asks to be the only one would end the others, and the launcher, which carries the clipboard.
          ...{ '@type': 'vnc', '@sharePolicy': 'ignore' },
          ...{ '@passwd': listen && nobodysPassword(), listen: { '@type': 'none' } },
        },
      ];
    case 'spice':
      return [
        {
          ...{ '@type': 'spice', listen: { '@type': 'none' } },
          // Both need an agent inside, which the machine has no channel for.
          ...{ clipboard: { '@copypaste': 'no' }, filetransfer: { '@enable': 'no' } },
        },
      ];
    case 'none':
      return [];
  }
}

/**
 * QEMU can be given a password later only if it starts with one. This one is forgotten: the XML is in files and logs. VNC
 * takes eight characters.
 */
function nobodysPassword(): string {
  return randomBytes(6).toString('base64url');
}
