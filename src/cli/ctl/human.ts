/** Times and sizes for a person, in podman's words. */

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A span in its largest unit: `3 minutes`, `About an hour`. */
export function spanText(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const hours = Math.round(whole / HOUR);
  if (whole < 1) return 'Less than a second';
  if (whole < MINUTE) return `${whole} second${whole === 1 ? '' : 's'}`;
  if (whole < 2 * MINUTE) return 'About a minute';
  if (whole < HOUR) return `${Math.floor(whole / MINUTE)} minutes`;
  if (hours <= 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  if (whole < 14 * DAY) return `${Math.floor(whole / DAY)} days`;
  if (whole < 60 * DAY) return `${Math.floor(whole / (7 * DAY))} weeks`;
  if (whole < 730 * DAY) return `${Math.floor(whole / (30 * DAY))} months`;
  return `${Math.floor(whole / (365 * DAY))} years`;
}

/** `3 minutes ago` */
export function agoText(when: Date, now: number): string {
  return `${spanText((now - when.getTime()) / 1000)} ago`;
}

/** Bytes in powers of ten, with at most four digits: `44.2MB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const;
  let value = bytes;
  let unit = 0;
  for (; value >= 999.95 && unit < units.length - 1; unit += 1) value /= 1000;
  return `${unit === 0 ? Math.round(value) : Number(value.toPrecision(4))}${units[unit]}`;
}

/** Seconds of processor time: `1.234s`, `2m3.4s`, `1h2m3s`. */
export function cpuText(seconds: number): string {
  if (seconds < MINUTE) return `${Number(seconds.toFixed(3))}s`;
  const minutes = Math.floor(seconds / MINUTE);
  const rest = seconds - minutes * MINUTE;
  if (minutes < 60) return `${minutes}m${Number(rest.toFixed(1))}s`;
  return `${Math.floor(minutes / 60)}h${minutes % 60}m${Math.floor(rest)}s`;
}
