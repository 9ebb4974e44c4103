/**
 * True for field names that only the mesh may say: `weft-…`. Any separator counts, because CGI, WSGI and their
 * like turn `weft_caller` and `weft-caller` into one variable, and the application could not tell them apart.
 */
export function isReservedField(name: string): boolean {
  return name.startsWith('weft') && !/^weft[a-z0-9]/.test(name);
}

/**
 * True for names that a reader like those would take for one of the forwarding fields without it being one
 * (`x_forwarded_for`), and for every spelling of Envoy's identity field, which nobody in this mesh has set.
 */
export function isForgedForwarding(name: string): boolean {
  return name.charCodeAt(0) === 0x78 && FORWARDING.test(name) && !PLAIN_FORWARDING.has(name);
}

const FORWARDING = /^x[^a-z0-9]forwarded[^a-z0-9](?:for|proto|host|client[^a-z0-9]cert)$/;
const PLAIN_FORWARDING: ReadonlySet<string> = new Set([
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
]);
