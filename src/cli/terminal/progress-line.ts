/** A line on the terminal that says what takes so long. */

/** How long a person waits without wondering, in milliseconds. */
const PROGRESS_AFTER = 1000;

/**
 * A line on stderr that each message replaces. It appears once the work has taken {@link PROGRESS_AFTER}, and only on a
 * terminal.
 */
export function progressLine(program = 'virt-sandbox'): { show: (message: string) => void; clear: () => void } {
  if (!process.stderr.isTTY) return { show: () => {}, clear: () => {} };
  let shown = false;
  let latest = '';
  const draw = () => {
    process.stderr.write(`\r\u001b[K${program}: ${latest}…`);
    shown = true;
  };
  const timer = setTimeout(draw, PROGRESS_AFTER);
  return {
    show(message) {
      latest = message;
      if (shown) draw();
    },
    clear() {
      clearTimeout(timer);
      if (shown) process.stderr.write('\r\u001b[K');
      shown = false;
    },
  };
}
