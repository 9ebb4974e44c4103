/**
 * True for the fields that end at this hop whether or not Connection names them (RFC 9110 §7.6.1). Credentials
 * and challenges between a client and its proxy (§11.7) end here too: this proxy is the one they are meant for.
 */
export function isHopByHop(name: string): boolean {
  switch (name.length) {
    case 2:
      return name === 'te';
    case 7:
      return name === 'upgrade';
    case 10:
      return name === 'connection' || name === 'keep-alive';
    case 16:
      return name === 'proxy-connection';
    case 17:
      return name === 'transfer-encoding';
    case 18:
      return name === 'proxy-authenticate';
    case 19:
      return name === 'proxy-authorization';
    default:
      return false;
  }
}
