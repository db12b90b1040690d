/** Why a report is not taken; whoever counts refusals counts these apart. */
export type ReportFlaw = 'forged' | 'another slot' | 'bad value' | 'repeated';

/** A report that has the right form and is no good all the same. `path` names the field. */
export class ReportError extends Error {
  override readonly name = 'ReportError';
  readonly path: string;
  readonly flaw: ReportFlaw;
  constructor(path: string, problem: string, flaw: ReportFlaw) {
    super(`${path}: ${problem}`);
    this.path = path;
    this.flaw = flaw;
  }
}
