import type { CallArgs, CallName, CallResult, ContractClient } from '../contract'
import { connectToMain, type MainConnection } from './main-connection'
import { printLine } from './text'

/** One run of the command: how it prints, and its connection to main, made when first used. */
export class CliSession {
  /** Whether to print one JSON document instead of text. */
  json = false
  private connection: Promise<MainConnection> | null = null

  async client(): Promise<ContractClient> {
    this.connection ??= connectToMain()
    return (await this.connection).client
  }

  async call<N extends CallName>(name: N, args: CallArgs<N>): Promise<CallResult<N>> {
    return (await this.client()).call(name, args)
  }

  /** Prints the outcome: `value` for programs, or `text` for people (nothing when empty). */
  print(value: unknown, text: string): void {
    if (this.json) printLine(JSON.stringify(value, null, 2))
    else if (text) printLine(text)
  }

  async close(): Promise<void> {
    const connection = await this.connection?.catch(() => null)
    connection?.close()
  }
}
