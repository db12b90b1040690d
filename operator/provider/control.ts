/**
 * The provider tells the appliances of an area what they may do (tpm-privacy-concept.txt, "Electricity Consumption Control").
 *
 *   console, or the provider's own OpenADR ──► order ──► Provider: sign · store · publish ──► every gateway of the area
 *
 * The provider knows the load of an area and nothing of a household, and speaks to areas only. What is sent is on disk before it is
 * published; gateways that were away ask for it. Nobody answers: who obeyed is seen in the area's sum, or not at all.
 */
import { createHash, createPrivateKey, type KeyObject } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import {
  CONTROL_ID_BYTES,
  ControlError,
  type ControlMessage,
  HOUR_MS,
  newControlId,
  PER_HOUR_MOST,
  signControl,
} from '../../protocol/control/message.ts';
import { fromOpenAdr } from '../../protocol/control/openadr.ts';
import {
  CONTROL_MESSAGES_MOST,
  type ControlOrder,
  controlMessagesCall,
  controlOpenAdrCall,
  controlSendCall,
  controlSentCall,
  type SentControl,
} from '../../protocol/control/services.ts';
import { controlTopic } from '../../protocol/control/topics.ts';
import { ed25519PublicKey } from '../../protocol/crypto/ed25519.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import { ConfigError } from '../shared/config.ts';
import {
  publicRoute,
  Refusal,
  type Route,
  roleRoute,
  type Service,
  serviceAccess,
  startService,
} from '../shared/service.ts';
import { type DatabaseSync, openStore } from '../shared/store.ts';

export const controlConfig = v.strictObject({
  service: serviceAccess,
  /** Signs control messages: Ed25519, PKCS #8 PEM, mode 0600. */
  keyFile: v.string(),
});
export type ControlConfig = v.InferOutput<typeof controlConfig>;

/** The console's list. */
const LISTED_MOST = 200;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS sent (
    id TEXT PRIMARY KEY, area TEXT NOT NULL, deviceClass TEXT NOT NULL, command TEXT NOT NULL, limitW INTEGER,
    issuedMs INTEGER NOT NULL, notBeforeMs INTEGER NOT NULL, expiresMs INTEGER NOT NULL, bytes BLOB NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS sentByArea ON sent (area, issuedMs);
`;
const COLUMNS = 'id, area, deviceClass, command, limitW, issuedMs, notBeforeMs, expiresMs';

/** What was sent, for good: who was cut off when is asked years later. A commit is on disk. */
export class ControlStore {
  readonly #database: DatabaseSync;
  constructor(file: string) {
    this.#database = openStore(file, SCHEMA);
  }
  add(message: ControlMessage, bytes: Uint8Array): void {
    const { id, area, deviceClass, command, limitW, issuedMs, notBeforeMs, expiresMs } = message;
    this.#database
      .prepare('INSERT INTO sent VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
      .run(hex(id), area, deviceClass, command, limitW, issuedMs, notBeforeMs, expiresMs, bytes);
  }
  get(id: Uint8Array): (SentControl & { bytes: Uint8Array }) | undefined {
    return this.#database.prepare(`SELECT ${COLUMNS}, bytes FROM sent WHERE id = ?`).get(hex(id)) as
      | (SentControl & { bytes: Uint8Array })
      | undefined;
  }
  countIssued(area: string, fromMs: number, toMs: number): number {
    return this.#database
      .prepare('SELECT count(*) AS n FROM sent WHERE area = ? AND issuedMs >= ? AND issuedMs < ?')
      .get(area, fromMs, toMs)!.n as number;
  }
  /** The newest of what has not expired, oldest first; of one area, or of all. */
  unexpired(nowMs: number, area: string | null = null): { area: string; bytes: Uint8Array }[] {
    return this.#database
      .prepare(
        `SELECT area, bytes FROM sent WHERE expiresMs > ? AND (? IS NULL OR area = ?)
         ORDER BY issuedMs DESC, id DESC LIMIT ${CONTROL_MESSAGES_MOST}`,
      )
      .all(nowMs, area, area)
      .reverse() as unknown as { area: string; bytes: Uint8Array }[];
  }
  /** Newest first. */
  list(most: number): SentControl[] {
    return this.#database
      .prepare(`SELECT ${COLUMNS} FROM sent ORDER BY issuedMs DESC, id LIMIT ?`)
      .all(most)
      .map((row) => ({ ...row })) as unknown as SentControl[];
  }
  close(): void {
    this.#database.close();
  }
}

export interface ControlDeskOptions {
  store: ControlStore;
  /** Ed25519. */
  controlKey: KeyObject;
  publish(area: string, bytes: Uint8Array): void;
}

export class ControlDesk {
  readonly #options: ControlDeskOptions;
  constructor(options: ControlDeskOptions) {
    this.#options = options;
  }

  /**
   * Signs an order, stores it and publishes it. The same order again (by its id) is the same message.
   * @throws Refusal
   */
  send(order: ControlOrder, nowMs: number): { id: Uint8Array; message: Uint8Array } {
    const { store, controlKey, publish } = this.#options;
    const { id = newControlId(), area, deviceClass, command, limitW, expiresMs } = order;
    const known = store.get(id);
    if (known) return this.#again(known, order);
    const issuedMs = Math.floor(nowMs / 1000) * 1000;
    if (expiresMs <= nowMs) throw refused('expired', 'expiresMs', 'has passed');
    const hour = Math.floor(issuedMs / HOUR_MS) * HOUR_MS;
    if (store.countIssued(area, hour, hour + HOUR_MS) >= PER_HOUR_MOST)
      throw refused('flood', 'area', `was told ${PER_HOUR_MOST} messages in this hour: gateways would not obey more`);
    // what was to begin while the form was filled in begins now
    const notBeforeMs = Math.max(order.notBeforeMs, issuedMs);
    const message = { id, area, deviceClass, command, limitW, issuedMs, notBeforeMs, expiresMs };
    let bytes: Uint8Array;
    try {
      bytes = signControl(message, controlKey);
    } catch (error) {
      if (!(error instanceof ControlError)) throw error;
      const field = error.path.replace('control.', '');
      throw refused(error.refusal, PATHS[field] ?? field, error.message.slice(error.path.length + 2));
    }
    store.add(message, bytes);
    publish(area, bytes);
    return { id, message: bytes };
  }

  /** Takes an order as an event of OpenADR 3; the same event again is the same message. @throws Refusal */
  sendEvent(event: unknown, nowMs: number): { id: Uint8Array; message: Uint8Array } {
    let order: ControlOrder;
    try {
      order = fromOpenAdr(event);
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      throw new Refusal('malformed', error.message, 'correct', { status: 400, path: error.path });
    }
    const { id } = event as { id?: string };
    return this.send(id === undefined ? order : { ...order, id: idOfEvent(id) }, nowMs);
  }

  /** Whoever listens since a moment may have missed it. */
  publishAll(nowMs: number): void {
    for (const { area, bytes } of this.#options.store.unexpired(nowMs)) this.#options.publish(area, bytes);
  }

  #again(known: SentControl & { bytes: Uint8Array }, order: ControlOrder): { id: Uint8Array; message: Uint8Array } {
    const same =
      (['area', 'deviceClass', 'command', 'limitW', 'expiresMs'] as const).every(
        (name) => known[name] === order[name],
      ) && known.notBeforeMs === Math.max(order.notBeforeMs, known.issuedMs);
    if (!same) throw refused('other order', 'id', 'is that of another order', 409);
    return { id: Buffer.from(known.id, 'hex'), message: known.bytes };
  }
}

/** Fields of a message as an order has them. */
const PATHS: Record<string, string> = { notBefore: 'notBeforeMs', expires: 'expiresMs' };
const refused = (code: string, path: string, problem: string, status = 422): Refusal =>
  new Refusal(code, `${path} ${problem}`, 'correct', { status, path });
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
/** Event ids are texts of any length. */
const idOfEvent = (id: string): Uint8Array =>
  new Uint8Array(createHash('sha256').update(`openadr/${id}`).digest().subarray(0, CONTROL_ID_BYTES));

/** @param party this provider's own, which may order @param nowMs undefined while the party has not been told */
export function controlRoutes(
  desk: ControlDesk,
  store: ControlStore,
  party: string,
  nowMs: () => number | undefined,
): Route[] {
  const now = (): number => {
    const ms = nowMs();
    if (ms === undefined)
      throw new Refusal('starting', 'the service does not know the time yet', 'again', { status: 503 });
    return ms;
  };
  return [
    publicRoute({
      method: 'POST',
      path: controlMessagesCall.path,
      body: controlMessagesCall.body,
      handle: ({ area }) => ({ messages: store.unexpired(now(), area).map(({ bytes }) => bytes) }),
    }),
    roleRoute(['console', party], {
      method: 'POST',
      path: controlSendCall.path,
      body: controlSendCall.body,
      handle: (order) => desk.send(order, now()),
    }),
    roleRoute(['console', party], {
      method: 'POST',
      path: controlOpenAdrCall.path,
      body: v.unknown(),
      handle: (event) => desk.sendEvent(event, now()),
    }),
    roleRoute(['console', party], {
      method: 'GET',
      path: controlSentCall.path,
      handle: () => ({ sent: store.list(LISTED_MOST) }),
    }),
  ];
}

export interface Control {
  readonly service: Service;
  advance(nowMs: number): void;
  /** A connection to the broker stands: time to say what may have been missed. */
  connected(): void;
  /** Newest first. */
  sent(): SentControl[];
  close(): Promise<void>;
}

/**
 * @param publish by MQTT; what is lost is asked for
 * @param party common name of this provider's own client certificate, which may order like the console's
 */
export async function startControl(
  config: ControlConfig,
  stateDir: string,
  publish: (topic: string, bytes: Uint8Array) => void,
  party = 'provider',
): Promise<Control> {
  const store = new ControlStore(join(stateDir, 'control.sqlite'));
  const controlKey = readControlKey(config.keyFile);
  const publicKey = ed25519PublicKey(controlKey);
  const desk = new ControlDesk({
    store,
    controlKey,
    publish: (area, bytes) => publish(controlTopic(area, publicKey), bytes),
  });
  let nowMs: number | undefined;
  const service = await startService({
    name: 'provider',
    access: config.service,
    routes: controlRoutes(desk, store, party, () => nowMs),
  });
  return {
    service,
    advance: (toMs) => {
      const starting = nowMs === undefined;
      nowMs = toMs;
      if (starting) desk.publishAll(toMs);
    },
    connected: () => {
      if (nowMs !== undefined) desk.publishAll(nowMs);
    },
    sent: () => store.list(LISTED_MOST),
    async close() {
      await service.close();
      store.close();
    },
  };
}

function readControlKey(file: string): KeyObject {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode;
  if (mode === undefined) throw new ConfigError(file, '', 'is not there');
  if ((mode & 0o077) !== 0) throw new ConfigError(file, '', 'others than its owner may read it (chmod 600)');
  const key = createPrivateKey(readFileSync(file));
  if (key.asymmetricKeyType !== 'ed25519') throw new ConfigError(file, '', 'is no Ed25519 key');
  return key;
}
