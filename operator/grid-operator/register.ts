/**
 * The grid operator's register of gateways (tpm-privacy-concept.txt: "the grid operator has to keep track of which device is
 * supplied to which household").
 *
 *   Technician ── EK certificate, address ──► GridOperator ── serials, addresses ──► TrustedThirdParty
 *
 * The grid operator learns which device hangs where, and nothing of the person who lives there.
 */
import { AREA_MOST_DEVICES, type Device, type DeviceState } from '../../protocol/identity/devices.ts';
import { Refusal } from '../shared/service.ts';
import type { RegisterStore } from './store.ts';

export interface Installation {
  address: string;
  area: string;
}

export class Register {
  readonly #store: RegisterStore;
  /** @throws Error, a plain sentence, where the certificate is not one of a TPM's maker that is trusted; returns the EK's serial */
  readonly #checkEk: (ekCertificate: Uint8Array) => string;
  readonly #areaMost: number;
  /** Called after every change. */
  readonly #onChange: () => void;

  constructor(
    store: RegisterStore,
    checkEk: (ekCertificate: Uint8Array) => string,
    onChange: () => void,
    areaMost = AREA_MOST_DEVICES,
  ) {
    this.#areaMost = areaMost;
    this.#store = store;
    this.#checkEk = checkEk;
    this.#onChange = onChange;
  }

  /**
   * Registers a gateway, in stock or where it is installed; a second time with the same address changes nothing, with another one
   * it is moved.
   * @throws Refusal
   */
  register(ekCertificate: Uint8Array, installation: Installation | null): Device {
    const serial = this.#serialOf(ekCertificate);
    const known = this.#store.device(serial);
    if (known && !Buffer.from(known.ekCertificate).equals(ekCertificate))
      throw new Refusal(
        'other certificate',
        `another certificate with the serial number ${serial} is registered`,
        'final',
        {
          path: 'ekCertificate',
        },
      );
    if (known?.state === 'revoked') throw revoked(serial);
    if (
      installation &&
      installation.area !== known?.area &&
      this.#store.installedIn(installation.area) >= this.#areaMost
    )
      throw new Refusal(
        'area full',
        `the area ${installation.area} has ${this.#areaMost} devices, as many as one batch of readings takes: divide it`,
        'correct',
        { path: 'installation.area' },
      );
    const device: Device = {
      serial,
      address: installation?.address ?? null,
      area: installation?.area ?? null,
      state: installation ? 'installed' : 'in stock',
    };
    this.#put({ ...device, ekCertificate }, known);
    return device;
  }

  /** Takes a device back into stock, or revokes it for ever. @throws Refusal */
  setState(serial: string, state: Exclude<DeviceState, 'installed'>): Device {
    const known = this.#store.device(serial);
    if (!known) throw new Refusal('unknown device', `no device ${serial} is registered`, 'correct', { path: 'serial' });
    if (known.state === 'revoked' && state !== 'revoked') throw revoked(serial);
    // a revoked one keeps its address: the field visit goes there
    const place = state === 'in stock' ? { address: null, area: null } : { address: known.address, area: known.area };
    const device: Device = { serial, ...place, state };
    this.#put({ ...device, ekCertificate: known.ekCertificate }, known);
    return device;
  }

  device(serial: string): Device | undefined {
    const known = this.#store.device(serial);
    return known && { serial, address: known.address, area: known.area, state: known.state };
  }
  devicesAfter(serial: string, most: number): Device[] {
    return this.#store.devicesAfter(serial, most);
  }

  #serialOf(ekCertificate: Uint8Array): string {
    try {
      return this.#checkEk(ekCertificate);
    } catch (error) {
      throw new Refusal('bad certificate', (error as Error).message, 'final', { path: 'ekCertificate' });
    }
  }
  #put(device: Device & { ekCertificate: Uint8Array }, known: Device | undefined): void {
    const same = known && (['address', 'area', 'state'] as const).every((field) => known[field] === device[field]);
    if (same) return;
    this.#store.put(device);
    this.#onChange();
  }
}

const revoked = (serial: string): Refusal =>
  new Refusal('revoked device', `the device ${serial} is revoked and stays so`, 'final', {
    path: 'serial',
    status: 409,
  });
