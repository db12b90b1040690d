// Runs on boards (boards.test.ts): the firmware's line, vault and generator, and what is drawn once it is ready. Plain JavaScript: it
// imports firmware/board, which only the interpreter's types know.
import { Adc } from '../../../firmware/board/adc.ts';
import { vaultNatives } from '../../../firmware/board/cipher.ts';
import { uptimeMs } from '../../../firmware/board/clock.ts';
import { flashPages } from '../../../firmware/board/flash.ts';
import { randomNatives, randomSources } from '../../../firmware/board/random.ts';
import { espruinoNatives, openGatewayPort } from '../../../firmware/board/serial.ts';
import { Random } from '../../../firmware/random/random.ts';
import { SessionHub } from '../../../firmware/session/hub.ts';
import { Randomness } from '../../../firmware/session/randomness.ts';
import { Vault } from '../../../firmware/wallet/vault.ts';
import { layoutOf } from '../../../hardware/flash.ts';
import { decodeMessage, encodeMessage } from '../../../protocol/wire/link-codec.ts';
import { encodeFrame, FrameReader } from '../../../protocol/wire/link-frame.ts';
import { LINK_TELL } from '../../../protocol/wire/link-messages.ts';
import { SESSION_RANDOM } from '../../../protocol/wire/sessions.ts';

const reader = new FrameReader(espruinoNatives);
const port = openGatewayPort((piece) => {
  for (const body of reader.push(piece)) {
    if (body[0] === LINK_TELL) hub.receive(decodeMessage(body), uptimeMs());
  }
});
const hub = new SessionHub((part) => port.write(encodeFrame(encodeMessage(part), espruinoNatives)), print);
const adc = new Adc();
adc.read();
const random = new Random(randomNatives, randomSources(adc.raw, getSerial()));
const region = layoutOf(require('Storage').getStats().totalBytes).wallet;
const vault = region ? new Vault(flashPages(region), vaultNatives, () => random.rootKey()) : null;
const randomness = new Randomness(random, vault, (body) => hub.say(SESSION_RANDOM, body));
randomness.ready = () => {
  print('drawn ' + btoa(E.toString(random.bytes(32))));
};
hub.add(randomness);
setInterval(() => {
  hub.tick(0, uptimeMs());
  if (randomness.damage) print('damage ' + randomness.damage);
}, 1000);
