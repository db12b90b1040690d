/** Discrete events in the order of their times; those of one instant in the order in which they were entered. */
interface Event {
  atMs: number;
  order: number;
  run(): void;
}

const isBefore = (a: Event, b: Event): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

export class EventQueue {
  #heap: Event[] = [];
  #entered = 0;
  #nowMs: number;

  constructor(nowMs = 0) {
    this.#nowMs = nowMs;
  }

  /** When the event that is running was due, or until when the queue was run. */
  get nowMs(): number {
    return this.#nowMs;
  }
  get length(): number {
    return this.#heap.length;
  }

  /** @param atMs not before now */
  at(atMs: number, run: () => void): void {
    if (!(atMs >= this.#nowMs)) throw new RangeError(`atMs: ${atMs} is before ${this.#nowMs}`);
    const event = { atMs, order: this.#entered++, run };
    const heap = this.#heap;
    let i = heap.push(event) - 1;
    for (; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (!isBefore(event, heap[parent])) break;
      heap[i] = heap[parent];
      i = parent;
    }
    heap[i] = event;
  }
  after(ms: number, run: () => void): void {
    this.at(this.#nowMs + ms, run);
  }

  /** Everything that is due until then, and what follows from it. @param toMs all where it is absent */
  run(toMs = Number.POSITIVE_INFINITY): void {
    while (this.#heap.length > 0 && this.#heap[0].atMs <= toMs) {
      const event = this.#take();
      this.#nowMs = event.atMs;
      event.run();
    }
    if (toMs !== Number.POSITIVE_INFINITY) this.#nowMs = Math.max(this.#nowMs, toMs);
  }

  #take(): Event {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
      if (!isBefore(heap[child], last)) break;
      heap[i] = heap[child];
      i = child;
    }
    heap[i] = last;
    return first;
  }
}
