/** Who keeps what in the vault: one namespace for each protocol. (Espruino dialect) */
export const SPACE_RANDOM = 1;
export const SPACE_LEDGER = 2;
export const SPACE_SELLING = 3;
export const SPACE_TRADING = 4;
export const SPACE_TOKENS = 5;
export const SPACE_TASKS = 6;
export const SPACE_CONFIG = 7;
