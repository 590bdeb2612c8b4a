/** Why the server closes the WebSocket of a page: codes of its own (RFC 6455, 7.4.2), which the page tells apart. */

/** The sandbox has ended. */
export const ENDED = 4000;
/** The server ends, and the sandbox goes on. */
export const STOPPED = 4001;
/** As many pages are connected as may be. */
export const BUSY = 4002;
/** The connection to the screen was lost, or could not be made. */
export const LOST = 4003;
/** The page has sent what no page of this server sends. */
export const REFUSED = 4004;
