import { findNodeAtLocation, parseTree, printParseErrorCode, type Node, type ParseError } from 'jsonc-parser'
import { parseOrRefuse } from './domain'
import { VmmError } from './errors'
import { SandboxPolicySchema, type NetworkRule, type SandboxPolicy } from './policy'
import type { FileRule } from './policy-files'
import { NO_RATES, type IoLimit } from './policy-io'
import type { RegistryRule } from './policy-registry'
import { safeText } from './safe-text'

/** A policy as the text that people edit: JSON as RFC 8259 has it, without comments. */

/** Longest text that is read, characters; no policy comes near it. */
export const POLICY_TEXT_MOST = 4 * 1024 * 1024
/** Nesting of a policy is a third of this; the parser would run out of stack at a few thousand. */
const DEPTH_MOST = 32

const STRICT = { disallowComments: true, allowTrailingComma: false, allowEmptyContent: false }

/** Words for what jsonc-parser finds. */
const SYNTAX: Record<string, string> = {
  InvalidSymbol: 'this is no JSON; text stands between double quotes',
  InvalidNumberFormat: 'this is no number',
  PropertyNameExpected: 'the name of a field in double quotes, or the end of the object, is expected here',
  ValueExpected: 'a value is expected here',
  ColonExpected: 'a colon is expected here',
  CommaExpected: 'a comma is expected here',
  CloseBraceExpected: 'a closing } is missing',
  CloseBracketExpected: 'a closing ] is missing',
  EndOfFileExpected: 'nothing may follow the policy',
  InvalidCommentToken: 'JSON has no comments',
  UnexpectedEndOfComment: 'JSON has no comments',
  UnexpectedEndOfString: 'a closing double quote is missing',
  UnexpectedEndOfNumber: 'this number ends too early',
  InvalidUnicode: 'after \\u come four hexadecimal digits',
  InvalidEscapeCharacter: 'this character cannot follow a backslash',
  InvalidCharacter: 'text cannot hold control characters; write them as \\n or \\t',
}

/**
 * Throws `invalid` for anything that is no policy: with the line and column, counted from 1, where that is known, both in
 * its words and as `line` and `column` in its context, and with the path of the field.
 */
export function parsePolicyText(text: string): SandboxPolicy {
  const tree = readTree(text)
  const twice = repeatedField(tree)
  if (twice) throw fault(text, twice.offset, `the field '${safeText(String(twice.value), 100)}' is there twice`)
  try {
    return parseOrRefuse(SandboxPolicySchema, JSON.parse(text), 'policy')
  } catch (error) {
    if (!(error instanceof VmmError)) throw error
    const place = placeOf(text, offsetAt(tree, error.context['path']))
    const message = `${error.message.replace(/\.$/, '')} (line ${place.line}, column ${place.column}).`
    throw new VmmError(error.kind, message, { hint: error.hint, context: { ...error.context, ...place } })
  }
}

/** Line and column, from 1, of the field at a dotted path in a text that is a policy. */
export function policyPlace(text: string, path: string): { line: number; column: number } {
  return placeOf(text, offsetAt(readTree(text), path))
}

function readTree(text: string): Node {
  if (text.length > POLICY_TEXT_MOST) throw new VmmError('invalid', 'The policy is longer than any policy can be.')
  if (depthOf(text) > DEPTH_MOST) throw new VmmError('invalid', 'The policy is nested deeper than any policy can be.')
  const errors: ParseError[] = []
  const tree = parseTree(text, errors, STRICT)
  const [first] = errors
  if (first) throw fault(text, first.offset, SYNTAX[printParseErrorCode(first.error)] ?? 'this is no JSON')
  if (tree?.type !== 'object') throw fault(text, tree?.offset ?? 0, 'a policy begins with { and ends with }')
  return tree
}

function fault(text: string, offset: number, reason: string): VmmError {
  const place = placeOf(text, offset)
  return new VmmError(
    'invalid',
    `The policy cannot be read at line ${place.line}, column ${place.column}: ${reason}.`,
    {
      hint: 'Correct the text and try again.',
      context: { ...place },
    },
  )
}

/** How deep brackets are nested outside of texts. */
function depthOf(text: string): number {
  let depth = 0
  let deepest = 0
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const mark = text.charAt(at)
    if (mark === '"' || mark === '\n') quoted = mark === '"' && !quoted
    else if (quoted && mark === '\\') at++
    else if (!quoted && (mark === '[' || mark === '{')) deepest = Math.max(deepest, ++depth)
    else if (!quoted && (mark === ']' || mark === '}')) depth--
  }
  return deepest
}

/** The second name of a field that an object has twice, of which JSON.parse would silently keep the last. */
function repeatedField(node: Node): Node | null {
  const seen = new Set<unknown>()
  for (const child of node.children ?? []) {
    const [name] = child.type === 'property' ? (child.children ?? []) : []
    if (name && seen.has(name.value)) return name
    if (name) seen.add(name.value)
    const below = repeatedField(child)
    if (below) return below
  }
  return null
}

/** Where the field at a dotted path begins, or what of it is there. */
function offsetAt(tree: Node, path: unknown): number {
  const keys =
    typeof path !== 'string' || path === '' ? [] : path.split('.').map((key) => (/^\d+$/.test(key) ? Number(key) : key))
  for (; keys.length > 0; keys.pop()) {
    const node = findNodeAtLocation(tree, keys)
    if (node) return node.parent?.type === 'property' ? node.parent.offset : node.offset
  }
  return tree.offset
}

/** Line and column from 1; columns count UTF-16 units, as editors do. */
function placeOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset).split(/\r\n|\n|\r/)
  return { line: before.length, column: (before.at(-1) ?? '').length + 1 }
}

/** The policy as text for people: what is as usual is left out, so that what is said stands out. */
export function policyText({ version, network, files, registry, limits }: SandboxPolicy): string {
  const limited = {
    ...(limits.network.length > 0 ? { network: limits.network.map(withoutZeros) } : {}),
    ...(limits.io.length > 0 ? { io: limits.io.map(ioWords) } : {}),
  }
  const document = {
    version,
    network: { rules: network.rules.map(ruleWords) },
    ...(files.rules.length > 0 ? { files: { rules: files.rules.map(fileRuleWords) } } : {}),
    ...(registry.rules.length > 0 ? { registry: { rules: registry.rules.map(registryRuleWords) } } : {}),
    ...(Object.keys(limited).length > 0 ? { limits: limited } : {}),
  }
  // lists of texts read better on one line
  const list = /\[\n\s+("(?:[^"\\]|\\.)*"(?:,\n\s+"(?:[^"\\]|\\.)*")*)\n\s+\]/g
  const onOneLine = (_whole: string, texts: string): string => `[${texts.replace(/,\n\s+/g, ', ')}]`
  return `${JSON.stringify(document, null, 2).replace(list, onOneLine)}\n`
}

function ruleWords({ name, action, direction, protocol, peers, ports, ...rates }: NetworkRule): object {
  return {
    name,
    action,
    ...(direction === 'out' ? {} : { direction }),
    ...(protocol === 'any' ? {} : { protocol }),
    peers,
    ...(ports.length === 0 ? {} : { ports }),
    ...withoutZeros(rates),
  }
}

function fileRuleWords({ name, action, shares, paths, ignoreCase, to, ...quota }: FileRule): object {
  return {
    name,
    action,
    ...(shares.length === 0 ? {} : { shares }),
    paths,
    ...(ignoreCase ? { ignoreCase } : {}),
    ...(to === '' ? {} : { to }),
    ...withoutZeros(quota),
  }
}

function registryRuleWords({ to, ...rule }: RegistryRule): object {
  return { ...rule, ...(to === '' ? {} : { to }) }
}

function ioWords({ burstMs, ...limit }: IoLimit): object {
  return { ...withoutZeros(limit), ...(burstMs === NO_RATES.burstMs ? {} : { burstMs }) }
}

/** The number of a network card stays, also the first. */
function withoutZeros(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([name, value]) => name === 'nic' || value !== 0))
}
