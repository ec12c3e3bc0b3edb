const STATUS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
type Stop = keyof typeof STATUS

/**
 * Runs `work` so that Ctrl+C and the other signals that end a command reach it as an abort, to clean up and then
 * throw; the exit status is then the shell's for that signal, otherwise what `work` returned.
 */
export async function stoppable(work: (stopped: AbortSignal) => Promise<number>): Promise<void> {
  const stop = new AbortController()
  // the first one counts: an abort keeps its first reason
  for (const signal of Object.keys(STATUS) as Stop[]) process.on(signal, () => stop.abort(signal))
  try {
    process.exitCode = await work(stop.signal)
  } catch (error) {
    if (!stop.signal.aborted) throw error
    process.exitCode = STATUS[stop.signal.reason as Stop]
  }
}
