/** Checks the types of what a program passes to `publish`. */
import { isIP } from 'node:net';
import * as v from 'valibot';
import { MOST_PORT } from '../../config/parsers/publish.js';
import { check } from '../prepare/check-values.js';
import type { PublishOptions } from './types.js';

export const portNumber = (least: number) =>
  v.pipe(
    v.number(`a number from ${least} to ${MOST_PORT}`),
    v.integer('a whole number'),
    v.minValue(least, `${least} or more`),
    v.maxValue(MOST_PORT, `${MOST_PORT} at most`),
  );
export const ipAddress = v.pipe(
  v.string('an IP address'),
  v.check((text) => isIP(text) !== 0, 'an IP address'),
);
export const protocol = v.picklist(['tcp', 'udp'], '"tcp" or "udp"');
const entries = {
  protocol,
  host: ipAddress,
  hostPort: portNumber(0),
  signal: v.instance(AbortSignal, 'an AbortSignal'),
} satisfies Record<keyof PublishOptions, v.GenericSchema>;
const schema = v.partial(v.strictObject(entries, 'an object'));

/** @throws {SandboxError} `config-key-unknown`, `config-value-invalid` */
export function checkPublish(guestPort: unknown, options: unknown): void {
  check(portNumber(1), guestPort, 'the port', []);
  check(schema, options, 'the options of the port', Object.keys(entries));
}
