/**
 * Runs on boards (boards.test.ts): the meter's half of selling, which is told what another one was told, with the same randomness. Says
 * what it had to say, as a hash; what is in its wallet; and how many variables it takes.
 */
import { Moduli } from '../../firmware/arithmetic/moduli.ts';
import { Worker } from '../../firmware/arithmetic/worker.ts';
import { arithmeticNatives } from '../../firmware/board/arithmetic.ts';
import { vaultNatives } from '../../firmware/board/cipher.ts';
import { sellingNatives } from '../../firmware/board/selling.ts';
import { SealedValues } from '../../firmware/session/sealed-values.ts';
import { SellingSession } from '../../firmware/session/selling.ts';
import { Credentials } from '../../firmware/wallet/credentials.ts';
import { AllocationLedger } from '../../firmware/wallet/ledger.ts';
import { Sealer } from '../../firmware/wallet/sealed.ts';
import { Vault } from '../../firmware/wallet/vault.ts';
import { ascii, joined, word } from '../../protocol/selling/natives.ts';
import { LINK_RECORD } from '../../protocol/wire/link-messages.ts';
import { SESSION_STORE } from '../../protocol/wire/sessions.ts';

const PAGES = 48;
const PAGE_BYTES = 4096;
const images = [];
for (let page = 0; page < PAGES; page++) {
  const image = new Uint8Array(PAGE_BYTES);
  image.fill(255);
  images.push(image);
}
const flash = {
  pageBytes: PAGE_BYTES,
  pageCount: PAGES,
  read: (page, offset, length) => new Uint8Array(images[page].subarray(offset, offset + length)),
  write: (page, offset, bytes) => images[page].set(bytes, offset),
  erase: (page) => {
    images[page].fill(255);
  },
};
const bytesOf = (text) => E.toUint8Array(atob(text));
const list = [];
const records = {
  record: (number) => (number > 0 && number <= list.length ? list[number - 1] : null),
  oldestRecord: () => 1,
  newestRecord: () => list.length,
  newestSlot: () => (list.length > 0 ? list[list.length - 1].slot : 0),
};
let draws = 0;
const vault = new Vault(flash, vaultNatives, () => bytesOf(global.GIVEN.root));
vault.open();
const lines = global.GIVEN.text.split(',');
const before = process.memory().usage;
let most = 0;
let steps = 0;
let uptimeMs = 0;
let digest = new Uint8Array(32);
let said = 0;
let work = [];
const say = (body) => {
  digest = sellingNatives.sha256(joined([digest, body]));
  said++;
  return true;
};
const store = new SealedValues(new Sealer(vault), say);
const credentials = new Credentials(vault);
const session = new SellingSession({
  natives: sellingNatives,
  cipher: vaultNatives,
  worker: new Worker({
    uptimeMs: () => uptimeMs,
    msToNextTick: () => 1000,
    later: (run) => {
      work.push(run);
    },
  }),
  moduli: new Moduli(arithmeticNatives),
  store: store,
  ledger: new AllocationLedger(vault, records),
  credentials: credentials,
  random: (length) => sellingNatives.expand(ascii('draws'), word(draws++), 4 * Math.ceil(length / 4)),
  meterId: new Uint8Array([7, 7, 7, 7, 7, 7, 7, 7]),
  say: say,
  complain: print,
});
function tick(unixMs, atMs) {
  uptimeMs = atMs;
  session.tick(unixMs, atMs);
  store.tick(unixMs, atMs);
  while (work.length > 0) {
    const first = work.shift();
    first();
    // asking takes as long as a multiplication
    if (steps++ % 16 === 0) {
      const used = process.memory().usage - before;
      if (used > most) most = used;
    }
  }
  vault.tidy();
}
function slotEnded(slot, exportMwh) {
  const exported = list.length > 0 ? list[list.length - 1].exportMwh : 0;
  list.push({
    type: LINK_RECORD,
    number: list.length + 1,
    boot: 1,
    uptimeMs: 0,
    slot: slot,
    importMwh: 0,
    exportMwh: exported + exportMwh,
    flags: 0,
  });
  session.record();
}
// one line for each: T unixMs uptimeMs · H session base64 · S slot exportMwh
for (const line of lines) {
  const words = line.split(' ');
  if (words[0] === 'T') tick(Number(words[1]), Number(words[2]));
  else if (words[0] === 'S') slotEnded(Number(words[1]), Number(words[2]));
  else {
    const body = bytesOf(words[2]);
    if (Number(words[1]) === SESSION_STORE) store.receive(body);
    else session.receive(body);
  }
}
work = [];
let hex = '';
for (const byte of digest) hex += (256 + byte).toString(16).substr(1);
const counts = credentials.months[0].counts;
const idle = process.memory().usage - before;
print(`\x02${JSON.stringify({ hex, said, counts, idle, most, blockBytes: process.memory().blocksize })}`);
