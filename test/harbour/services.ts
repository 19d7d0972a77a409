/** The services of the port, by name. */
export { pilotage } from './pilotage.ts';
export { port_office } from './port-office.ts';
export { yard } from './yard.ts';
