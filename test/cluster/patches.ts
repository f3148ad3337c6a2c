/** Two changes to sources that we build. Each must find what it changes, or the build stops. */

/** gVisor's shim lowers its OOM score, which needs CAP_SYS_RESOURCE; root may lack it, so the score stays as it is. */
export function keepOomScore(source: string): string {
  return replaceEach(source, 'oomScoreMax = -999', 'oomScoreMax = 0');
}

/**
 * The policy agent queues packets with an nftables expression that needs CONFIG_NFT_QUEUE. A kernel without it still has
 * the NFQUEUE target of xtables, which nftables can call; its four bytes are the queue's number and a reserved field.
 */
export function queueByXtables(source: string): string {
  const withTarget = replaceEach(
    source,
    `queue := &expr.Queue{Num: uint16(c.config.QueueID)}
	if c.config.FailOpen {
		queue.Flag = expr.QueueFlagBypass
	}`,
    `nfq := xt.Unknown{byte(c.config.QueueID), byte(c.config.QueueID >> 8)}
	queue := &expr.Target{Name: "NFQUEUE", Rev: 0, Info: &nfq}`,
  );
  return replaceEach(
    withTarget,
    '"github.com/google/nftables/expr"',
    '"github.com/google/nftables/expr"\n\t"github.com/google/nftables/xt"',
  );
}

function replaceEach(source: string, from: string, to: string): string {
  if (!source.includes(from)) throw new Error(`a patch does not fit the source any more: ${from.split('\n')[0]}`);
  return source.replaceAll(from, () => to);
}
