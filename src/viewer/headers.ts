/** What a request must say, and what each answer says. */
import type { IncomingMessage } from 'node:http';

export const ADDRESS = '127.0.0.1';

/** noVNC draws the pointer, and pictures that come as PNG or JPEG, by URLs of data. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export const SAFE_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': CONTENT_SECURITY_POLICY,
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

/** Another host whose name leads here would be of another origin, and its pages could read this one. */
export function isForHost({ headers, headersDistinct }: IncomingMessage, port: number): boolean {
  if (headersDistinct['host']?.length !== 1) return false;
  return headers.host === `${ADDRESS}:${port}` || headers.host === `localhost:${port}`;
}

/** Browsers let pages of any origin connect by WebSocket, and say whose it is. */
export function isOfOwnPage({ headers, headersDistinct }: IncomingMessage): boolean {
  return headersDistinct['origin']?.length === 1 && headers.origin === `http://${headers.host}`;
}
