/** Names of units of a systemd: systemd.unit(5) */

/** What can be started. */
export const UNIT_TYPES = [
  'service',
  'socket',
  'timer',
  'path',
  'target',
  'mount',
  'automount',
  'swap',
  'slice',
] as const;

/** Bytes. systemd's UNIT_NAME_MAX is 256 with the zero. */
const LONGEST = 255;

/** Systemd passes over files that begin with a dot. */
const UNIT_NAME = new RegExp(
  `^[A-Za-z0-9:_\\\\-][A-Za-z0-9:_.\\\\-]*(@[A-Za-z0-9:_.\\\\@-]*)?\\.(${UNIT_TYPES.join('|')})$`,
);

/** Whether systemd takes it as the name of a unit. Such a name needs no escapes in a list of units. */
export function isUnitName(text: string): boolean {
  return text.length <= LONGEST && UNIT_NAME.test(text);
}
