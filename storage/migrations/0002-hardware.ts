/** Snapshots remember the hardware that they were taken of: a JSON object; '{}' in those of before. */
export const hardware: readonly string[] = [`ALTER TABLE snapshots ADD COLUMN hardware TEXT NOT NULL DEFAULT '{}'`]
