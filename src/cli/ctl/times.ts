/** Times on the command lines of virt-sandbox-ctl and virt-sandbox-service. */
import type { SandboxError } from '../../util/errors.js';
import { usageError } from './arguments.js';

/** Makes the error of a wrong command line. */
export type Fail = (message: string) => SandboxError;

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * A span: `90`, which are seconds, `500ms`, `10s`, `5m`, `1h30m`.
 * @returns milliseconds; undefined for another text
 */
export function spanMs(text: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return Math.round(Number(text) * 1000);
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smh])/g)];
  return Math.round(parts.reduce((sum, [, number, unit = '']) => sum + Number(number) * (UNITS[unit] ?? 0), 0));
}

/**
 * The time that `--since` names: a span before `now`, a date as RFC 3339 writes it, where the hour and the zone may be
 * missing, or seconds since 1970.
 * @param fail makes the error of a wrong text
 */
export function sinceTime(text: string, now: number, fail: Fail = (message) => usageError(message, 'logs')): Date {
  // A number is a date here, as podman and docker have it.
  const isSeconds = /^\d{9,}(\.\d+)?$/.test(text);
  const span = spanMs(text);
  const ms = isSeconds ? Number(text) * 1000 : span === undefined ? dateMs(text) : now - span;
  const date = new Date(ms);
  if (!Number.isNaN(date.getTime())) return date;
  throw fail(`--since cannot be ${JSON.stringify(text)}; give 10s, 5m, 1h30m or 2026-11-28T09:00:00Z`);
}

/** @returns milliseconds since 1970; NaN for what is no date */
function dateMs(text: string): number {
  const [, day = '', time = 'T00:00'] =
    /^(\d{4}-\d\d-\d\d)(T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?$/.exec(text) ?? [];
  // Date takes the 31st of February for the 3rd of March.
  const midnight = new Date(`${day}T00:00Z`);
  if (Number.isNaN(midnight.getTime()) || !midnight.toISOString().startsWith(day)) return Number.NaN;
  // Without a zone the time is local, also where there is no hour.
  return new Date(day + time).getTime();
}

/**
 * Reads a time of an option, in seconds or with a unit.
 * @returns milliseconds
 * @throws {SandboxError} `usage`
 */
export function optionMs(
  text: string | undefined,
  option: string,
  command: string | Fail,
  { least, most }: { readonly least: number; readonly most: number },
): number | undefined {
  if (text === undefined) return undefined;
  const span = spanMs(text);
  if (span !== undefined && span >= least && span <= most) return span;
  const bounds = `${least / 1000} to ${most / 1000} seconds`;
  const fail = typeof command === 'string' ? (message: string) => usageError(message, command) : command;
  throw fail(`${option} cannot be ${JSON.stringify(text)}; give ${bounds}, as 90, 30s, 5m or 1h`);
}
