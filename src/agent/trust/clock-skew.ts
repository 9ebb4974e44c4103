/** How the clock of this host stands to the controller's, in words. @param skewMs own minus the controller's */
export function skewText(skewMs: number): string {
  const seconds = (Math.abs(skewMs) / 1000).toFixed(1);
  return `the clock of this host is ${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} the controller's`;
}
