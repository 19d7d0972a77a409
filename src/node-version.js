/** Whether this Node.js can run Courier. JavaScript without imports, which Node.js of any version can read. */
const MIN_MAJOR = 24;
const MIN_MINOR = 15;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const isEnough = major > MIN_MAJOR || (major === MIN_MAJOR && minor >= MIN_MINOR);

/** Why it cannot, in one line; undefined when it can. */
export const nodeProblem = isEnough
  ? undefined
  : `courier needs Node.js ${MIN_MAJOR}.${MIN_MINOR} or later, and this is ${major}.${minor}: install a later one (https://nodejs.org); in a clone \`npm ci\` brings one that npm scripts use`;
