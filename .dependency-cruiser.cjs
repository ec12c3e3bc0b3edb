/** The layers of the house: who may import whom. DESIGN and ARCHITECTURE have the reasons. */

const SQLITE = 'sqlite3'

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      comment: 'Two files that import each other are one file or three.',
      from: {},
      to: { circular: true },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'vmm-stands-alone',
      severity: 'error',
      comment: 'vmm knows neither Electron nor SQLite nor its callers.',
      from: { path: '^vmm/' },
      to: {
        path: ['^(src-main|src-renderer|storage|test)/', 'node_modules/(electron|sqlite3)/', '^(electron|sqlite3)$'],
      },
    },
    {
      name: 'model-is-pure',
      severity: 'error',
      comment: 'vmm/model is imported by every layer, the page included.',
      from: { path: '^vmm/model/' },
      to: { pathNot: ['^vmm/model/', 'node_modules/(valibot|jsonc-parser)/'] },
    },
    {
      name: 'storage-knows-the-model-only',
      severity: 'error',
      from: { path: '^storage/' },
      to: {
        pathNot: ['^storage/', '^vmm/model/', 'node_modules/(sqlite3|valibot)/', `^${SQLITE}$`],
        dependencyTypesNot: ['core'],
      },
    },
    {
      name: 'only-services-join-vmm-and-storage',
      severity: 'error',
      from: { pathNot: ['^storage/', '^src-main/services/', '^test/'] },
      to: { path: '^storage/' },
    },
    {
      name: 'only-storage-and-the-lock-know-sqlite',
      severity: 'error',
      comment: "instance.ts uses SQLite's lock and no data.",
      from: { pathNot: ['^storage/', '^src-main/instance\\.ts$', '^test/'] },
      to: { path: ['node_modules/sqlite3/', `^${SQLITE}$`] },
    },
    {
      name: 'only-the-shell-knows-electron',
      severity: 'error',
      comment: 'Everything below src-main also runs in Node.',
      from: { path: '^src-main/[^/]+/' },
      to: { path: ['node_modules/electron/', '^electron$'] },
    },
    {
      name: 'contract-is-for-everyone',
      severity: 'error',
      comment: 'The page imports it: no Node, no Electron, no services.',
      from: { path: '^src-main/contract/' },
      to: { pathNot: ['^src-main/contract/', '^vmm/model/', 'node_modules/(valibot|birpc|@msgpack)/'] },
    },
    {
      name: 'cli-is-a-client',
      severity: 'error',
      comment: 'It speaks the contract; only `serve` runs a main, by run-headless.',
      from: { path: '^src-main/cli(/|\\.ts$)' },
      to: { path: ['^src-main/services/', '^vmm/(?!model/)', '^storage/'] },
    },
    {
      name: 'page-knows-the-contract-only',
      severity: 'error',
      from: { path: '^src-renderer/' },
      to: { path: '^(src-main|vmm|storage|test)/', pathNot: '^src-main/contract/' },
    },
    {
      name: 'page-has-no-node',
      severity: 'error',
      from: { path: '^src-renderer/' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'engines-ignore-each-other',
      severity: 'error',
      from: { path: '^vmm/engine/(embedded|qemu)[^/]*\\.ts$' },
      to: { path: '^vmm/engine/(embedded|qemu)', pathNot: '^vmm/engine/$1' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // type imports are dependencies too
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
}
