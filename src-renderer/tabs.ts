/** The views of one domain, in the order of their tabs. */
export const TABS = ['overview', 'console', 'network', 'files', 'registry', 'snapshots', 'settings', 'log'] as const
export type Tab = (typeof TABS)[number]
