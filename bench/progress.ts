/** Progress on a terminal, one line a task; plain lines where the output is no terminal. Goes to stderr. */
import { stderr } from 'node:process';

const BAR = 28;

export class Progress {
  #label = '';
  #lastMs = 0;
  #terminal = Boolean(stderr.isTTY);

  /** A new task begins; the one before is done. */
  task(label: string): void {
    this.done();
    this.#label = label;
    this.#lastMs = 0;
    if (this.#terminal) this.#line(`… ${label}`);
    else stderr.write(`${label}\n`);
  }

  /** How far the task is, from 0 to 1, and what to say beside it. */
  at(share: number, detail = ''): void {
    const now = performance.now();
    if (now - this.#lastMs < (this.#terminal ? 100 : 5000) && share < 1) return;
    this.#lastMs = now;
    const filled = Math.round(BAR * Math.min(1, Math.max(0, share)));
    if (this.#terminal) this.#line(`… ${this.#label}  ${'█'.repeat(filled)}${'░'.repeat(BAR - filled)}  ${detail}`);
    else stderr.write(`  ${Math.round(share * 100)} %  ${detail}\n`);
  }

  /** Something to know, on a line of its own. */
  note(text: string): void {
    stderr.write(`${this.#terminal ? '\r\x1b[2K' : '  '}${text}\n`);
  }

  done(): void {
    if (this.#label && this.#terminal) {
      this.#line(`✓ ${this.#label}`);
      stderr.write('\n');
    }
    this.#label = '';
  }

  #line(text: string): void {
    stderr.write(`\r\x1b[2K${text.slice(0, (stderr.columns ?? 100) - 1)}`);
  }
}
