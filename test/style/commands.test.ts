import { existsSync, readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { vivariumCommand } from '../../src-main/cli/program'
import { CliSession } from '../../src-main/cli/session'

const DOCUMENTS = ['README.md', 'CONTRIBUTING.md', 'docs/policy.md', 'docs/files.md'].filter((file) => existsSync(file))
const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }
const program = vivariumCommand(new CliSession())

describe.each(DOCUMENTS)('the commands in %s', (file) => {
  const commands = shellLines(readFileSync(file, 'utf8'))

  test('run scripts that exist', () => {
    const named = commands.map(scriptOf).filter((name) => name !== null)

    expect(named.filter((name) => !(name in scripts))).toEqual([])
  })

  test('call verbs that exist', () => {
    const called = commands.map(verbsOf).filter((words) => words !== null)

    expect(called.filter((words) => !isVerb(program, words))).toEqual([])
  })
})

test('each script of package.json runs a file that exists', () => {
  const missing = Object.values(scripts)
    .flatMap((script) => /node (\S+\.mjs)/.exec(script)?.[1] ?? [])
    .filter((file) => !existsSync(file))

  expect(missing).toEqual([])
})

test('the CLI has what the README and the window promise', () => {
  const names = program.commands.map((command) => command.name())

  expect(names).toEqual(
    expect.arrayContaining(
      'ls new start stop pause resume restart save force-off console exec run snapshot clone rename set rm trash'
        .split(' ')
        .concat('image', 'task', 'logs', 'info', 'serve'),
    ),
  )
})

/** Lines of the fenced shell blocks, and inline code that begins like a command. */
function shellLines(markdown: string): string[] {
  const fenced = [...markdown.matchAll(/```(?:sh|bash|shell|console)\n([\s\S]*?)```/g)].flatMap(([, block]) =>
    (block ?? '').split('\n'),
  )
  const inline = [...markdown.matchAll(/`((?:npm|npx|vivarium) [^`]+)`/g)].map(([, command]) => command ?? '')
  return [...fenced, ...inline].map((line) => line.replace(/^\$ /, '').replace(/#.*$/, '').trim()).filter(Boolean)
}

/** The npm script that `line` runs, or null. */
function scriptOf(line: string): string | null {
  const [npm, word, name] = line.split(/\s+/)
  if (npm !== 'npm') return null
  if (word === 'run') return name ?? null
  return word === 'start' || word === 'test' ? word : null
}

/** The words after `vivarium`, or null for other lines. */
function verbsOf(line: string): string[] | null {
  const match = /^(?:npx )?vivarium\s+(.*)$/.exec(line)
  return match?.[1] === undefined ? null : match[1].split(/\s+/)
}

function isVerb(command: Command, [word, ...rest]: string[]): boolean {
  if (command.commands.length === 0 || word?.startsWith('-')) return true
  // `a | b | c`, as in a list of verbs
  if (rest[0] === '|') return isVerb(command, [word!]) && isVerb(command, rest.slice(1))
  const sub = command.commands.find((each) => each.name() === word)
  return sub !== undefined && (sub.commands.length === 0 || rest.length === 0 || isVerb(sub, rest))
}
