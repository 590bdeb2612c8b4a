/**
 * The sound card of a machine. It only plays: it has no stream by which a guest could record, and what is behind it
 * gives none.
 *
 * https://libvirt.org/formatdomain.html#sound-devices
 */
import type { PciAddress } from './pci.js';
import type { Element } from './xml.js';

export const SOUND_DEVICES = 1;

const AUDIO = 1;

/** One for playing. QEMU's second would be for recording. */
const STREAMS = 1;

/** QEMU takes what the guest plays at the time that it takes, and talks to no sound server: one of VNC hears it. */
const BACKEND = { '@id': AUDIO, '@type': 'none' };

/** It listens nowhere: the launcher hands it whoever is to hear. */
const SERVER = { '@type': 'vnc', listen: { '@type': 'none' } };

/** What a machine without a screen has, or libvirt would add one. */
const NO_CARD = [{ model: { '@type': 'none' } }];

interface ScreenElements {
  readonly graphics: Element[];
  readonly video: Element[];
}

/**
 * @param screen what the machine has as its screen; undefined: none
 * @param address undefined: libvirt chooses it
 */
export function soundElements(
  screen: ScreenElements | undefined,
  address: PciAddress | undefined,
): ScreenElements & Readonly<Record<'sound' | 'audio', Element>> {
  const { graphics = [], video = NO_CARD } = screen ?? {};
  const isVnc = (element: Element) => element['@type'] === 'vnc';
  // Whoever is let in as the only viewer would cut off the launcher, who hears there.
  const heard = (element: Element) => ({ ...element, '@sharePolicy': 'ignore', audio: { '@id': AUDIO } });
  return {
    graphics: [...graphics.filter((element) => !isVnc(element)), heard(graphics.find(isVnc) ?? SERVER)],
    video,
    sound: { '@model': 'virtio', '@streams': STREAMS, audio: { '@id': AUDIO }, address },
    audio: BACKEND,
  };
}
