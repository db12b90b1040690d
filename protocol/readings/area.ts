/**
 * An area is a leaf of the grid's one fixed tree: the households behind one transformer, some tens or hundreds of them. Its
 * name travels in messages and MQTT topics, so it has neither `/`, `+` nor `#`.
 */
export const AREA_PATTERN = /^[a-z0-9][a-z0-9-]{0,31}$/;
