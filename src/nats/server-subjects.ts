/** Subjects that are nats-server's own, as far as a mesh uses them. */

/** What JetStream has in this account. */
export const JETSTREAM_INFO = '$JS.API.INFO';

/** Services of the bus say here who they are, as `nats service ls` asks. */
export const MONITORING = '$SRV.>';

/** Answers to requests that came from another account: the server makes these up and leads them back. */
export const IMPORTED_REPLIES = '_R_.>';

/** All that a client does with a stream: make, read, watch, back up. */
export function streamSubjects(stream: string): readonly string[] {
  return [
    `$JS.API.STREAM.*.${stream}`,
    `$JS.API.STREAM.MSG.*.${stream}`,
    `$JS.API.CONSUMER.*.${stream}`,
    `$JS.API.CONSUMER.*.${stream}.>`,
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.>`,
    `$JS.API.DIRECT.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}.>`,
    `$JS.FC.${stream}.>`,
    `$JS.SNAPSHOT.*.${stream}.>`,
  ];
}

/** What lists the streams, which `nats stream ls` and a client that looks for a stream ask. */
export const STREAM_LISTS: readonly string[] = Object.freeze(['$JS.API.STREAM.NAMES', '$JS.API.STREAM.LIST']);

/** All that a client does with a bucket: it is a stream, and its keys are subjects. */
export function bucketSubjects(bucket: string): readonly string[] {
  return [...streamSubjects(`KV_${bucket}`), `$KV.${bucket}.>`];
}
