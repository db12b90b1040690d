/** What a party counts for those who watch over it; begins at zero with the process. */
export class Counters<Name extends string> {
  readonly #counts = new Map<Name, number>();

  add(name: Name, howMany = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + howMany);
  }
  read(): Partial<Record<Name, number>> {
    return Object.fromEntries([...this.#counts].sort()) as Partial<Record<Name, number>>;
  }
}
