/** Why a packet, or a frame of it, is not acted on; the label under which it is counted. */
export type Refusal =
  /** Its clear header is malformed. */
  | 'header'
  /** It was sealed too long ago, or its sender's clock is wrong. */
  | 'age'
  /** Its sender has not shown an identity. */
  | 'stranger'
  /** The root did not sign the identity that it shows, or it does not hold now. */
  | 'identity'
  /** It shows the identity of somebody else. */
  | 'sender'
  /** The identity of its sender has ended. */
  | 'expired'
  /** There is no room for another peer. */
  | 'peers'
  /** It is for another agent, or for a service that this one may not open packets for, or came where that service is not asked. */
  | 'audience'
  /** It was changed, or not sealed by whom it names. */
  | 'seal'
  /** It has been here before. */
  | 'replay'
  /** It is a request that was sent before this process began. */
  | 'early'
  /** Its frames are malformed, or not of those that open requests although it was sealed for a service. */
  | 'frames'
  /** A stream is opened where another is open. */
  | 'stream'
  /** An answer of an agent that may not give it. */
  | 'entitled'
  /** It has no valid signature, and was sealed for a service, or is about one that takes only what has one. */
  | 'evidence';

/** A packet that is refused. It stays within the link: nobody outside asked for the packet. */
export class RefusedPacket extends Error {
  readonly reason: Refusal;

  constructor(reason: Refusal, details: string) {
    super(details);
    this.name = 'RefusedPacket';
    this.reason = reason;
  }
}
