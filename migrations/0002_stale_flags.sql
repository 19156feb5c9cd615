ALTER TABLE `idempotency_keys` ADD `revision` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `flags` ADD `stale` text;