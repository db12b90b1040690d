/** What a meter knows about its own board: its document is the gateway's and the bench's business, too (hardware/calibration.ts). */
export * from '../../hardware/calibration.ts';
