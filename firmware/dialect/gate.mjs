/** @returns {import('rollup').Plugin} */
export const espruinoDialect = () => ({
  name: 'espruino-dialect',
  generateBundle() {},
});
