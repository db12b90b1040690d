/**
 * gateway/main.ts with a death ahead: the process sends itself SIGKILL before the n-th thing that it does to its store or
 * says to the broker (QUIETMETER_TEST_DIES_AT=n). Live values, which may be lost, are not counted one by one.
 */
import { DatabaseSync, StatementSync } from 'node:sqlite';
import { BrokerSession } from '../../../gateway/uplink/broker-session.ts';

let left = Number(process.env.QUIETMETER_TEST_DIES_AT);

function dyingBefore<This, Args extends unknown[], Result>(
  act: (this: This, ...args: Args) => Result,
  counts: (self: This) => boolean = () => true,
): (this: This, ...args: Args) => Result {
  return function (this: This, ...args: Args): Result {
    if (counts(this) && --left === 0) process.kill(process.pid, 'SIGKILL');
    return act.apply(this, args);
  };
}

DatabaseSync.prototype.exec = dyingBefore(DatabaseSync.prototype.exec);
StatementSync.prototype.run = dyingBefore(
  StatementSync.prototype.run,
  (statement: StatementSync) => !/INTO (live|minutes)/.test(statement.sourceSQL),
) as StatementSync['run'];
BrokerSession.prototype.submit = dyingBefore(BrokerSession.prototype.submit);

await import('../../../gateway/main.ts');
