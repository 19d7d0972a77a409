/** The services of the platform, by name: the `sub` of a service's tokens is its name here. */
export { cartographe } from './cartographe.ts';
export { chevalier } from './chevalier.ts';
export { forge } from './forge.ts';
export { prophet } from './prophet.ts';
