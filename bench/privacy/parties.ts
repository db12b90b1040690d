/** Who plays the linkage game. A later protocol adds its parties here. */
import type { GameParty } from './game.ts';
import { mOfN, receipts } from './parties/control-centre.ts';
import { collector, collectorAndProvider, provider } from './parties/readings.ts';
import { relay } from './parties/relay.ts';

export const PARTIES: readonly GameParty[] = [collector, provider, relay, receipts, mOfN, collectorAndProvider];
/** Into whose transcripts the positive controls are planted: it has named records, and anonymous ones with slot and value. */
export const CONTROLLED = provider;
